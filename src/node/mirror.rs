//! How a value of the core becomes one of JavaScript.
//!
//! Most reports are the core's own, field by field. `mirror!` makes both of such a struct: the object that JavaScript gets
//! (and `index.d.ts` describes, with the comments of its fields), and the conversion.

use crate::{entry, ops, progress};

/// A value of the core that has a form in JavaScript.
pub(super) trait IntoJs {
    /// That form.
    type Js;

    fn into_js(self) -> Self::Js;
}

/// What is the same on both sides.
macro_rules! same {
    ($($ty:ty),*) => { $(
        impl IntoJs for $ty {
            type Js = Self;

            fn into_js(self) -> Self {
                self
            }
        }
    )* };
}
same!(bool, i32, u32, String);

/// What JavaScript knows by its name.
macro_rules! named {
    ($($ty:ty),*) => { $(
        impl IntoJs for $ty {
            type Js = String;

            fn into_js(self) -> String {
                self.name().to_owned()
            }
        }
    )* };
}
named!(
    entry::EntryKind,
    ops::Action,
    ops::Aspect,
    ops::AutoRestoreOutcome,
    ops::Change,
    ops::Level,
    ops::Outcome,
    ops::TextOmitted,
    ops::Weight,
    progress::Phase
);

impl IntoJs for &'static str {
    type Js = String;

    fn into_js(self) -> String {
        self.to_owned()
    }
}

impl IntoJs for u8 {
    type Js = u32;

    fn into_js(self) -> u32 {
        self.into()
    }
}

impl IntoJs for u64 {
    type Js = f64;

    /// Exact up to 2^53, which no state reaches.
    #[expect(clippy::cast_precision_loss, reason = "documented above")]
    fn into_js(self) -> f64 {
        self as f64
    }
}

impl<T: IntoJs> IntoJs for Option<T> {
    type Js = Option<T::Js>;

    fn into_js(self) -> Self::Js {
        self.map(T::into_js)
    }
}

impl<T: IntoJs> IntoJs for Vec<T> {
    type Js = Vec<T::Js>;

    fn into_js(self) -> Self::Js {
        self.into_iter().map(T::into_js).collect()
    }
}

/// Derives, for an object of JavaScript, its conversion from the core's report of the same name in `ops`; with
/// `#[custom(of = TYPE)]`, from that type.
///
/// A field has the value of the core's field of the same name, through `IntoJs`; with `#[custom(|report| ...)]`, what that
/// says of the core's report.
///
/// It is a derive, so that napi sees the struct as it was written: comments that pass through a macro get to `index.d.ts`
/// as `r" ..."`.
macro_rules! mirror {
    ($(#[doc = $_:tt])* pub struct $js:ident $fields:tt) => {
        mirror! { #[custom(of = $crate::ops::$js)] pub struct $js $fields }
    };
    ($(#[doc = $_:tt])* #[custom(of = $core:ty)] pub struct $js:ident {
        $($(#[doc = $__:tt])* $(#[custom($value:expr)])? pub $field:ident: $ty:ty,)*
    }) => {
        impl $crate::node::mirror::IntoJs for $core {
            type Js = $js;

            fn into_js(self) -> $js {
                // These look at the whole report, so they come before any of it is moved.
                $($(
                    let $field: fn(&$core) -> _ = $value;
                    let $field = $field(&self).into_js();
                )?)*
                $js { $($field: mirror!(@value self $field $($value)?)),* }
            }
        }
    };
    (@value $report:ident $field:ident) => { $report.$field.into_js() };
    (@value $report:ident $field:ident $value:expr) => { $field };
}
pub(super) use macro_rules_attribute::derive;
pub(super) use mirror;

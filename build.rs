//! Sets up the linker for the Node-API addon.
fn main() {
    if std::env::var_os("CARGO_FEATURE_NODE").is_none() {
        return;
    }
    napi_build::setup();
}

//! Keeps what is in memory out of core dumps: keys that open every backup, and what is being backed up.

/// Makes sure, as far as the system lets, that nothing of this process's memory is written to disk when it crashes. It
/// cannot be taken back, and holds for the processes that this one starts: never call it in a process of somebody else,
/// such as the gateway. Nothing happens where there are no core dumps (Windows).
pub fn forbid_core_dumps() {
    #[cfg(unix)]
    limit();
    // A handler that does not care about the limit finds no memory in the dump. Not every container has the file.
    #[cfg(target_os = "linux")]
    if let Err(error) = std::fs::write("/proc/self/coredump_filter", "0") {
        tracing::debug!(%error, "core dumps are not filtered");
    }
}

#[cfg(unix)]
fn limit() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    // core(5): a handler that core dumps are piped to, as systemd's, is run whatever the limit is, but for 1 byte.
    // That is too small for a dump in a file, too. It may be 0 already, and may not be raised then.
    let limits: &[u64] = if cfg!(target_os = "linux") { &[1, 0] } else { &[0] };
    let set = |most| {
        setrlimit(Resource::Core, Rlimit { current: Some(most), maximum: Some(most) }).is_ok()
    };
    if !limits.iter().any(|most| set(*most)) {
        tracing::debug!("core dumps are not limited");
    }
}

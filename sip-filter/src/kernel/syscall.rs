//! The few things asked of bpf(2) and the clock that aya does not ask for.

use std::{
    io, mem,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    path::Path,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use aya_obj::generated::{
    BPF_F_RDONLY, bpf_attach_type, bpf_attr, bpf_cmd, bpf_link_info, bpf_link_type, bpf_prog_info,
};

use super::{Hook, preflight::denied};

/// What the kernel says of a link to an interface.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// Where it is.
    pub(super) hook: Hook,
    /// The program's number.
    pub(super) program: u32,
    /// The interface's index; 0 where the interface is gone.
    pub(super) ifindex: u32,
}

/// Opens what is pinned at `path`.
pub(super) fn open_pin(path: &Path) -> Result<OwnedFd> {
    open_pin_for(path, 0)
}

/// Opens the map that is pinned at `path` to read it, which read access to the pin is enough for.
pub(super) fn open_pin_to_read(path: &Path) -> Result<OwnedFd> {
    open_pin_for(path, BPF_F_RDONLY)
}

fn open_pin_for(path: &Path, flags: u32) -> Result<OwnedFd> {
    use std::os::unix::ffi::OsStrExt as _;
    let c_path = std::ffi::CString::new(path.as_os_str().as_bytes())
        .with_context(|| format!("{} cannot be a path", path.display()))?;
    // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    attr.__bindgen_anon_4.pathname = c_path.as_ptr() as u64;
    attr.__bindgen_anon_4.file_flags = flags;
    let fd = bpf(bpf_cmd::BPF_OBJ_GET, &mut attr).map_err(|error| {
        let error = anyhow::Error::new(error);
        let next = denied(&error).map(|next| format!(": {next}"));
        let next = next.unwrap_or_default();
        error.context(format!("cannot open the pin {}{next}", path.display()))
    })?;
    // SAFETY: the kernel has just given us this descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What the kernel says of a link to an interface (BPF_OBJ_GET_INFO_BY_FD).
pub(super) fn link(link: BorrowedFd<'_>) -> Result<Link> {
    // SAFETY: every bit pattern, zero too, is a valid `bpf_link_info`.
    let mut info: bpf_link_info = unsafe { mem::zeroed() };
    // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    attr.info.bpf_fd = link.as_raw_fd() as u32;
    attr.info.info = &raw mut info as u64;
    attr.info.info_len = size_of::<bpf_link_info>() as u32;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).context("cannot ask for a link")?;
    const XDP: u32 = bpf_link_type::BPF_LINK_TYPE_XDP as u32;
    const TCX: u32 = bpf_link_type::BPF_LINK_TYPE_TCX as u32;
    let (hook, ifindex) = match info.type_ {
        // SAFETY: the kernel fills this member for such a link, as the next one for its own.
        XDP => (Hook::Xdp, unsafe { info.__bindgen_anon_1.xdp.ifindex }),
        // SAFETY: as above.
        TCX => (Hook::Tcx, unsafe { info.__bindgen_anon_1.tcx.ifindex }),
        other => bail!("a link of kind {other} is none of sip-filter"),
    };
    Ok(Link {
        hook,
        program: info.prog_id,
        ifindex,
    })
}

/// What the kernel says of a pinned link.
pub(super) fn pinned_link(pin: &Path) -> Result<Link> {
    link(open_pin(pin)?.as_fd())
}

/// How many programs at one place of an interface are asked for: the kernel has room for 64
/// (BPF_MPROG_MAX in linux/bpf_mprog.h).
const MOST_PROGRAMS: usize = 64;

/// The numbers of the programs at tcx ingress of an interface, in the order in which they see packets
/// (BPF_PROG_QUERY); no number on kernels that have no tcx, and `None` for who may not ask.
///
/// aya asks more of each of them, for which CAP_BPF is not enough.
pub(super) fn at_tcx_ingress(ifindex: u32) -> Result<Option<Vec<u32>>> {
    let mut ids = [0_u32; MOST_PROGRAMS];
    // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    attr.query.__bindgen_anon_1.target_ifindex = ifindex;
    attr.query.attach_type = bpf_attach_type::BPF_TCX_INGRESS as u32;
    attr.query.prog_ids = ids.as_mut_ptr() as u64;
    attr.query.__bindgen_anon_2.prog_cnt = ids.len() as u32;
    match bpf(bpf_cmd::BPF_PROG_QUERY, &mut attr) {
        Ok(_) => {
            // SAFETY: the kernel has set the count.
            let count = unsafe { attr.query.__bindgen_anon_2.prog_cnt } as usize;
            Ok(Some(ids.into_iter().take(count).collect()))
        }
        // What an older kernel does not know, and where nothing ever was.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => {
            Ok(Some(Vec::new()))
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(error).with_context(|| {
            format!("cannot ask for the programs at tcx ingress of interface {ifindex}")
        }),
    }
}

/// Detaches a link at once (BPF_LINK_DETACH); removing its pin alone leaves that to a worker of
/// the kernel.
pub(super) fn detach_link(link: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    attr.link_detach.link_fd = link.as_raw_fd() as u32;
    bpf(bpf_cmd::BPF_LINK_DETACH, &mut attr).map(drop)
}

/// Runs an XDP program once on a frame (BPF_PROG_TEST_RUN).
pub(super) fn test_run(program: BorrowedFd<'_>, frame: &[u8]) -> io::Result<()> {
    // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    attr.test.prog_fd = program.as_raw_fd() as u32;
    attr.test.data_in = frame.as_ptr() as u64;
    attr.test.data_size_in = frame.len() as u32;
    attr.test.repeat = 1;
    loop {
        match bpf(bpf_cmd::BPF_PROG_TEST_RUN, &mut attr) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result.map(drop),
        }
    }
}

/// How many entries one batch holds: as many as a processor's cache holds, of the longest that there
/// are.
const BATCH: usize = 512;

/// Reads a whole hash map (BPF_MAP_LOOKUP_BATCH): one system call for thousands of entries, and
/// no entry twice or left out because others come and go meanwhile.
pub(super) fn lookup_all<K: aya::Pod, V: aya::Pod>(map: BorrowedFd<'_>) -> io::Result<Vec<(K, V)>> {
    let mut all = Vec::new();
    lookup_all_into(map, &mut all)?;
    Ok(all)
}

/// The same, behind what is in `all` already.
pub(super) fn lookup_all_into<K: aya::Pod, V: aya::Pod>(
    map: BorrowedFd<'_>,
    all: &mut Vec<(K, V)>,
) -> io::Result<()> {
    // SAFETY: `Pod` types are valid for every bit pattern.
    let (no_key, no_value): (K, V) = unsafe { (mem::zeroed(), mem::zeroed()) };
    batches(map, (no_key, 1), (no_value, 1), |keys, values| {
        all.extend(keys.iter().copied().zip(values.iter().copied()));
    })
}

/// Counts the entries of a hash map whose keys and values take so many bytes.
pub(super) fn count_entries(map: BorrowedFd<'_>, key: usize, value: usize) -> io::Result<u64> {
    let mut count = 0;
    batches(map, (0_u8, key), (0_u8, value), |keys, _| {
        count += (keys.len() / key) as u64;
    })?;
    Ok(count)
}

/// Reads a hash map in batches, which are handed to `take`: keys and the values that belong to them, each
/// so many pieces of the kind that is given.
fn batches<K: aya::Pod, V: aya::Pod>(
    map: BorrowedFd<'_>,
    (no_key, pieces_of_key): (K, usize),
    (no_value, pieces_of_value): (V, usize),
    mut take: impl FnMut(&[K], &[V]),
) -> io::Result<()> {
    let mut room = BATCH;
    let mut keys = vec![no_key; room * pieces_of_key];
    let mut values = vec![no_value; room * pieces_of_value];
    // The place where the next batch begins: for a hash, the number of a bucket.
    let mut place = 0_u32;
    let mut is_first = true;
    loop {
        let mut next = 0_u32;
        // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
        let mut attr: bpf_attr = unsafe { mem::zeroed() };
        attr.batch.map_fd = map.as_raw_fd() as u32;
        attr.batch.in_batch = if is_first { 0 } else { &raw const place as u64 };
        attr.batch.out_batch = &raw mut next as u64;
        attr.batch.keys = keys.as_mut_ptr() as u64;
        attr.batch.values = values.as_mut_ptr() as u64;
        attr.batch.count = room as u32;
        let result = bpf(bpf_cmd::BPF_MAP_LOOKUP_BATCH, &mut attr);
        // SAFETY: the kernel sets the count in every case in which it has read entries.
        let count = unsafe { attr.batch.count } as usize;
        let is_last = match result {
            Ok(_) => false,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => {
                // One bucket holds more than a batch; nothing was read of it.
                room *= 2;
                keys.resize(room * pieces_of_key, no_key);
                values.resize(room * pieces_of_value, no_value);
                continue;
            }
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => continue,
            Err(error) => return Err(error),
        };
        take(
            &keys[..count * pieces_of_key],
            &values[..count * pieces_of_value],
        );
        if is_last {
            return Ok(());
        }
        place = next;
        is_first = false;
    }
}

/// Reads one entry of a map (BPF_MAP_LOOKUP_ELEM).
pub(super) fn lookup<K: aya::Pod, V: aya::Pod>(
    map: BorrowedFd<'_>,
    key: &K,
) -> io::Result<Option<V>> {
    // SAFETY: `Pod` types are valid for every bit pattern.
    let mut value: V = unsafe { mem::zeroed() };
    // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = &raw const *key as u64;
    attr.__bindgen_anon_2.__bindgen_anon_1.value = &raw mut value as u64;
    match bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr) {
        Ok(_) => Ok(Some(value)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Reads one entry of a map whose values are as long as `value`, whatever they are.
pub(super) fn lookup_bytes(map: BorrowedFd<'_>, key: &u32, value: &mut [u8]) -> io::Result<()> {
    // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = &raw const *key as u64;
    attr.__bindgen_anon_2.__bindgen_anon_1.value = value.as_mut_ptr() as u64;
    bpf(bpf_cmd::BPF_MAP_LOOKUP_ELEM, &mut attr).map(drop)
}

/// The key that follows in a map, or its first one (BPF_MAP_GET_NEXT_KEY); none after the last.
pub(super) fn next_key<K: aya::Pod>(
    map: BorrowedFd<'_>,
    after: Option<&K>,
) -> io::Result<Option<K>> {
    // SAFETY: `Pod` types are valid for every bit pattern.
    let mut next: K = unsafe { mem::zeroed() };
    // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = after.map_or(0, |key| &raw const *key as u64);
    attr.__bindgen_anon_2.__bindgen_anon_1.next_key = &raw mut next as u64;
    match bpf(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attr) {
        Ok(_) => Ok(Some(next)),
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Counts the keys of a map, up to so many: one that is removed meanwhile may begin it all anew.
pub(super) fn count_keys(map: BorrowedFd<'_>, length: usize, at_most: u32) -> io::Result<u64> {
    let (mut key, mut next) = (vec![0_u8; length], vec![0_u8; length]);
    let mut count = 0;
    while count < u64::from(at_most) {
        // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
        let mut attr: bpf_attr = unsafe { mem::zeroed() };
        attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
        attr.__bindgen_anon_2.key = if count == 0 { 0 } else { key.as_ptr() as u64 };
        attr.__bindgen_anon_2.__bindgen_anon_1.next_key = next.as_mut_ptr() as u64;
        match bpf(bpf_cmd::BPF_MAP_GET_NEXT_KEY, &mut attr) {
            Ok(_) => count += 1,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => break,
            Err(error) => return Err(error),
        }
        mem::swap(&mut key, &mut next);
    }
    Ok(count)
}

/// For how many nanoseconds a program has run, and how often, while the kernel measured it
/// (BPF_OBJ_GET_INFO_BY_FD).
pub(super) fn run_time(program: BorrowedFd<'_>) -> Result<(u64, u64)> {
    // SAFETY: every bit pattern, zero too, is a valid `bpf_prog_info`.
    let mut info: bpf_prog_info = unsafe { mem::zeroed() };
    // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    attr.info.bpf_fd = program.as_raw_fd() as u32;
    attr.info.info = &raw mut info as u64;
    attr.info.info_len = size_of::<bpf_prog_info>() as u32;
    bpf(bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, &mut attr).context("cannot ask for the program")?;
    Ok((info.run_time_ns, info.run_cnt))
}

/// What the kernel answers where a kind of map knows no batches: ENOTSUPP, which is its own and
/// which libc does not name (include/linux/errno.h).
const NO_BATCHES: i32 = 524;

/// Writes entries of a map, new ones and those that are there (BPF_MAP_UPDATE_BATCH, or
/// BPF_MAP_UPDATE_ELEM where the kernel knows no batches for such maps).
pub(super) fn update_all<K: aya::Pod, V: aya::Pod>(
    map: BorrowedFd<'_>,
    entries: &[(K, V)],
) -> io::Result<()> {
    let mut knows_batches = true;
    for some in entries.chunks(BATCH) {
        let keys: Vec<K> = some.iter().map(|(key, _)| *key).collect();
        let values: Vec<V> = some.iter().map(|(_, value)| *value).collect();
        let mut done = 0;
        while knows_batches && done < some.len() {
            // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
            let mut attr: bpf_attr = unsafe { mem::zeroed() };
            attr.batch.map_fd = map.as_raw_fd() as u32;
            attr.batch.keys = keys[done..].as_ptr() as u64;
            attr.batch.values = values[done..].as_ptr() as u64;
            attr.batch.count = (some.len() - done) as u32;
            match bpf(bpf_cmd::BPF_MAP_UPDATE_BATCH, &mut attr) {
                Ok(_) => done = some.len(),
                Err(error) => match error.raw_os_error() {
                    Some(NO_BATCHES | libc::EINVAL | libc::EOPNOTSUPP) => knows_batches = false,
                    // SAFETY: the kernel sets the count to what it has written.
                    Some(libc::EINTR) => done += unsafe { attr.batch.count } as usize,
                    _ => return Err(error),
                },
            }
        }
        for (key, value) in &some[done..] {
            update(map, key, value)?;
        }
    }
    Ok(())
}

/// Writes one entry of a map (BPF_MAP_UPDATE_ELEM).
pub(super) fn update<K: aya::Pod, V: aya::Pod>(
    map: BorrowedFd<'_>,
    key: &K,
    value: &V,
) -> io::Result<()> {
    // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = &raw const *key as u64;
    attr.__bindgen_anon_2.__bindgen_anon_1.value = &raw const *value as u64;
    bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr).map(drop)
}

/// Removes an entry of a map, if it is there (BPF_MAP_DELETE_ELEM).
pub(super) fn delete<K: aya::Pod>(map: BorrowedFd<'_>, key: &K) -> io::Result<()> {
    // SAFETY: every bit pattern, zero too, is a valid `bpf_attr`.
    let mut attr: bpf_attr = unsafe { mem::zeroed() };
    attr.__bindgen_anon_2.map_fd = map.as_raw_fd() as u32;
    attr.__bindgen_anon_2.key = &raw const *key as u64;
    match bpf(bpf_cmd::BPF_MAP_DELETE_ELEM, &mut attr) {
        Err(error) if error.raw_os_error() != Some(libc::ENOENT) => Err(error),
        _ => Ok(()),
    }
}

/// bpf(2).
fn bpf(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    // SAFETY: `attr` is a whole `bpf_attr`, whose pointers the callers keep alive.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_int,
            &raw mut *attr,
            size_of::<bpf_attr>(),
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as i32)
    }
}

/// Waits until no CPU is in a program any more that was replaced before: an RCU grace period
/// (MEMBARRIER_CMD_GLOBAL in membarrier(2)).
pub(super) fn wait_for_programs() {
    /// linux/membarrier.h, which libc does not have.
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    /// Longer than any packet takes, for kernels that do not know the call or refuse it, as they do
    /// with CPUs that are kept free of ticks (nohz_full).
    const LONG_ENOUGH: Duration = Duration::from_millis(50);
    // SAFETY: a system call that takes numbers alone.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result < 0 {
        thread::sleep(LONG_ENOUGH);
    }
}

/// The kernel clock by which packets are stamped and blocks end, now: nanoseconds of CLOCK_BOOTTIME,
/// which is monotonic and goes on while the machine sleeps.
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid place for the answer; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A random number that nobody can guess, and never 0.
///
/// # Errors
///
/// When the kernel has none to give.
pub fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    // SAFETY: `bytes` is a valid place for as many bytes as it has.
    let read = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    // So few bytes come whole or not at all (getrandom(2)).
    if read != bytes.len() as isize {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::from_ne_bytes(bytes).max(1))
}

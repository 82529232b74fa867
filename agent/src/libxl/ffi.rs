//! libxl's C functions, found by name when they are called. One of the two places with `unsafe`; the other is [`super::context`], which alone calls these.
//!
//! The signatures were held against the headers of Xen 4.14 to 4.22 (`libxl.h`, `libxl_event.h`, `_libxl_types.h`, `xentoollog.h`): the same in all of them. A function
//! that the loaded library lacks is an error that names it, and only what needs it fails.
//!
//! No layout of libxl's structs is known here but three that its interface fixes: `libxl_uuid` is 16 bytes, a `libxl_domain_config` begins with its
//! `libxl_domain_create_info`, and `xentoollog_logger` is a pointer.
#![expect(unsafe_code, reason = "calls into a C library that is loaded at run time")]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::path::{Path, PathBuf};

use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};

use super::protocol::{Failure, FailureKind};

/// `libxl_uuid`, which is passed by value.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct RawUuid(pub(super) [u8; 16]);

/// libxl's own things, only ever behind pointers: a context, a logger, an event, a subscription, a struct of libxl's.
pub(super) type Thing = *mut c_void;

/// The loaded libraries.
pub(super) struct Raw {
    light: Library,
    log: Library,
    path: PathBuf,
}

macro_rules! functions {
    ($($library:ident { $(fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty;)* })*) => {
        impl Raw {
            $($(
                /// # Safety
                /// As the C function's header says.
                pub(super) unsafe fn $name(&self, $($arg: $type),*) -> Result<$result, Failure> {
                    type Function = unsafe extern "C" fn($($type),*) -> $result;
                    // SAFETY: the function of this name has this signature, see the module's head.
                    let function = unsafe { self.$library.get::<Function>(concat!(stringify!($name), "\0").as_bytes()) };
                    let function = function.map_err(|_| self.lacks(stringify!($name)))?;
                    // SAFETY: the caller's.
                    Ok(unsafe { function($($arg),*) })
                }
            )*)*
        }
    };
}

functions! {
    log {
    fn xtl_createlogger_stdiostream(stream: *mut libc::FILE, level: c_int, flags: c_uint) -> Thing;
    }

    light {
    fn libxl_ctx_alloc(ctx: *mut Thing, version: c_int, flags: c_uint, logger: Thing) -> c_int;
    fn libxl_ctx_free(ctx: Thing) -> c_int;

    fn libxl_get_version_info(ctx: Thing) -> *const c_void;
    fn libxl_version_info_to_json(ctx: Thing, info: *const c_void) -> *mut c_char;
    fn libxl_physinfo_init(info: Thing) -> ();
    fn libxl_physinfo_dispose(info: Thing) -> ();
    fn libxl_get_physinfo(ctx: Thing, info: Thing) -> c_int;
    fn libxl_physinfo_to_json(ctx: Thing, info: Thing) -> *mut c_char;

    fn libxl_dominfo_init(info: Thing) -> ();
    fn libxl_dominfo_dispose(info: Thing) -> ();
    fn libxl_domain_info(ctx: Thing, info: Thing, domid: u32) -> c_int;
    fn libxl_dominfo_to_json(ctx: Thing, info: Thing) -> *mut c_char;
    fn libxl_name_to_domid(ctx: Thing, name: *const c_char, domid: *mut u32) -> c_int;

    fn libxl_domain_config_init(config: Thing) -> ();
    fn libxl_domain_config_dispose(config: Thing) -> ();
    fn libxl_domain_config_to_json(ctx: Thing, config: Thing) -> *mut c_char;
    fn libxl_domain_config_from_json(ctx: Thing, config: Thing, json: *const c_char) -> c_int;
    fn libxl_retrieve_domain_configuration(ctx: Thing, domid: u32, config: Thing, how: *const c_void) -> c_int;

    fn libxl_domain_pause(ctx: Thing, domid: u32, how: *const c_void) -> c_int;
    fn libxl_domain_unpause(ctx: Thing, domid: u32, how: *const c_void) -> c_int;
    fn libxl_domain_suspend(ctx: Thing, domid: u32, fd: c_int, flags: c_int, how: *const c_void) -> c_int;
    fn libxl_domain_resume(ctx: Thing, domid: u32, cancel: c_int, how: *const c_void) -> c_int;
    fn libxl_domain_destroy(ctx: Thing, domid: u32, how: *const c_void) -> c_int;
    fn libxl_domain_create_new(ctx: Thing, config: Thing, domid: *mut u32, how: *const c_void, console: *const c_void) -> c_int;
    fn libxl_domain_soft_reset(ctx: Thing, config: Thing, domid: u32, how: *const c_void, console: *const c_void) -> c_int;
    fn libxl_domain_core_dump(ctx: Thing, domid: u32, file: *const c_char, how: *const c_void) -> c_int;
    fn libxl_domain_preserve(ctx: Thing, domid: u32, info: Thing, suffix: *const c_char, uuid: RawUuid) -> c_int;
    fn libxl_domain_need_memory(ctx: Thing, config: Thing, domid: u32, kib: *mut u64) -> c_int;
    fn libxl_get_free_memory(ctx: Thing, kib: *mut u64) -> c_int;
    fn libxl_set_memory_target(ctx: Thing, domid: u32, kib: i64, relative: c_int, enforce: c_int) -> c_int;
    fn libxl_wait_for_memory_target(ctx: Thing, domid: u32, seconds: c_int) -> c_int;

    fn libxl_evenable_domain_death(ctx: Thing, domid: u32, user: u64, made: *mut Thing) -> c_int;
    fn libxl_evdisable_domain_death(ctx: Thing, made: Thing) -> ();
    fn libxl_evenable_disk_eject(ctx: Thing, domid: u32, vdev: *const c_char, user: u64, made: *mut Thing) -> c_int;
    fn libxl_evdisable_disk_eject(ctx: Thing, made: Thing) -> ();
    fn libxl_event_check(ctx: Thing, event: *mut Thing, types: u64, predicate: *const c_void, user: *const c_void) -> c_int;
    fn libxl_event_to_json(ctx: Thing, event: Thing) -> *mut c_char;
    fn libxl_event_free(ctx: Thing, event: Thing) -> ();
    fn libxl_osevent_beforepoll(ctx: Thing, count: *mut c_int, fds: *mut libc::pollfd, timeout_ms: *mut c_int, now: libc::timeval) -> c_int;
    fn libxl_osevent_afterpoll(ctx: Thing, count: c_int, fds: *const libc::pollfd, now: libc::timeval) -> ();
    fn libxl_device_disk_init(disk: Thing) -> ();
    fn libxl_device_disk_dispose(disk: Thing) -> ();
    fn libxl_device_disk_from_json(ctx: Thing, disk: Thing, json: *const c_char) -> c_int;
    fn libxl_cdrom_insert(ctx: Thing, domid: u32, disk: Thing, how: *const c_void) -> c_int;
    }
}

impl Raw {
    /// Loads libxl from this file, and with it what it needs.
    pub(super) fn load(path: &Path) -> Result<Self, Failure> {
        let load = |name: &std::ffi::OsStr| {
            // SAFETY: Xen's libraries have no constructors that ask anything of the process.
            unsafe { Library::open(Some(name), RTLD_NOW | RTLD_GLOBAL) }.map_err(|e| {
                Failure::new(
                    FailureKind::NoLibxl,
                    format!("{} cannot be loaded: {e}", Path::new(name).display()),
                )
            })
        };
        // libxenlight needs libxentoollog; so it is loaded already, and this only finds it (whatever folder it is in).
        let light = load(path.as_os_str())?;
        let log = load("libxentoollog.so.1".as_ref())?;
        Ok(Self { light, log, path: path.into() })
    }

    fn lacks(&self, name: &str) -> Failure {
        Failure::new(
            FailureKind::NoLibxl,
            format!("{} lacks the function {name}: this needs another version of libxl", self.path.display()),
        )
    }
}

/// Takes a text that libxl allocated. `None` for NULL; bytes that are not UTF-8 are replaced.
///
/// # Safety
/// It is NULL or a NUL-terminated text from `malloc`, which nobody else frees.
pub(super) unsafe fn taken(text: *mut c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's.
    let taken = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    // SAFETY: the caller's; it was copied.
    unsafe { libc::free(text.cast()) };
    Some(taken)
}

/// glibc's `cookie_io_functions_t`.
#[repr(C)]
struct CookieFunctions {
    read: *const c_void,
    write: Option<unsafe extern "C" fn(cookie: *mut c_void, bytes: *const c_char, length: usize) -> isize>,
    seek: *const c_void,
    close: *const c_void,
}

unsafe extern "C" {
    fn fopencookie(cookie: *mut c_void, mode: *const c_char, functions: CookieFunctions) -> *mut libc::FILE;
}

unsafe extern "C" fn hear(_cookie: *mut c_void, bytes: *const c_char, length: usize) -> isize {
    // SAFETY: stdio hands over that many bytes.
    super::words::hear(unsafe { std::slice::from_raw_parts(bytes.cast(), length) });
    length.cast_signed()
}

/// A C stream whose text goes to [`super::words`]. Never closed.
pub(super) fn log_stream() -> Result<*mut libc::FILE, Failure> {
    let functions = CookieFunctions {
        read: std::ptr::null(),
        write: Some(hear),
        seek: std::ptr::null(),
        close: std::ptr::null(),
    };
    // SAFETY: the mode is a C string, and the one function is of the type that `fopencookie(3)` asks for.
    let stream = unsafe { fopencookie(std::ptr::null_mut(), c"w".as_ptr(), functions) };
    if stream.is_null() {
        return Err(Failure::new(FailureKind::NoLibxl, "no stream for libxl's log: out of memory"));
    }
    Ok(stream)
}

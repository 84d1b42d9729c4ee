//! The template's method, the weight of a Linear as int8 with one float32 scale a row, in Rust against
//! plugin_api's C headers: the structs are written down here once more, as another language has to.
#![allow(non_camel_case_types)]
use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

type Status = i32;
const OK: Status = 0;
const CANCELLED: Status = 1;
const INVALID_ARGUMENT: Status = 2;
const UNSUPPORTED: Status = 3;
const NOT_FOUND: Status = 4;
const DATA_LOSS: Status = 7;

#[repr(C)]
#[derive(Clone, Copy)]
struct Text {
    data: *const u8,
    size: u64,
}
#[repr(C)]
struct Sink {
    ctx: *mut c_void,
    write: extern "C" fn(*mut c_void, *const u8, u64),
}
#[repr(C)]
#[derive(Clone, Copy)]
struct Device {
    kind: i32,
    index: i32,
}
#[repr(C)]
#[derive(Clone, Copy, PartialEq)]
struct DType {
    code: u8,
    bits: u8,
    lanes: u16,
}
#[repr(C)]
struct Call {
    struct_size: u32,
    flags: u32,
    ctx: *mut c_void,
    stream: *mut c_void,
    workspace: *mut c_void,
    workspace_size: u64,
    fail: Option<extern "C" fn(*const Call, Status, Text)>,
    poll: Option<extern "C" fn(*const Call, f64, Text) -> i32>,
}
#[repr(C)]
struct View {
    data: *mut u8,
    device: Device,
    ndim: i32,
    dtype: DType,
    shape: *const i64,
    strides: *const i64,
    byte_offset: u64,
}
#[repr(C)]
struct Tensor {
    struct_size: u32,
    flags: u32,
    view: View,
    nbytes: u64,
    encoding: *const c_char,
    layout: *const c_char,
}
#[repr(C)]
struct Param {
    struct_size: u32,
    flags: u32,
    name: Text,
    module_kind: Text,
    dtype: DType,
    ndim: i32,
    shape: *const i64,
    device: Device,
    importance: *const Tensor, // of hosts of minor 1 and later; never looked at
}
#[repr(C)]
struct TensorSpec {
    struct_size: u32,
    flags: u32,
    name: Text,
    dtype: DType,
    ndim: i32,
    shape: [i64; 8],
    nbytes: u64,
    alignment: u32,
    reserved: u32,
    encoding: *const c_char,
    layout: *const c_char,
}
#[repr(C)]
struct Plan {
    struct_size: u32,
    flags: u32,
    outputs: *const *mut TensorSpec,
    capacity: u32,
    count: u32,
    workspace_size: u64,
}
#[repr(C)]
struct Host {
    struct_size: u32,
    abi_major: u32,
    abi_minor: u32,
    reserved: u32,
    ctx: *mut c_void,
    name: *const c_char,
    version: *const c_char,
    get_extension: extern "C" fn(*const Host, *const c_char) -> *const c_void,
}
#[repr(C)]
struct HostThreads {
    concurrency: extern "C" fn(*const Host) -> u32,
    parallel_for: extern "C" fn(*const Host, u64, u64, extern "C" fn(*mut c_void, u64, u64), *mut c_void) -> Status,
}
#[repr(C)]
struct Method {
    struct_size: u32,
    flags: u32,
    id: *const c_char,
    quant_method: *const c_char,
    version: *const c_char,
    container: *const c_char,
    devices: *const Device,
    device_count: u32,
    reserved: u32,
    extensions: *const *const c_char,
}
#[repr(C)]
struct Config {
    struct_size: u32,
    flags: u32,
    json: Text,
    library: Text,
    library_version: Text,
}
#[repr(C)]
struct Quantizer {
    method: *const Method,
    state: *mut c_void,
    destroy: extern "C" fn(*mut Quantizer),
    get_extension: extern "C" fn(*const Quantizer, *const c_char) -> *const c_void,
}
#[repr(C)]
struct QuantizeTable {
    plan: extern "C" fn(*const Quantizer, *const Call, Device, *const Param, *mut Plan) -> Status,
    quantize: extern "C" fn(*const Quantizer, *const Call, *const Param, *const Tensor, *const *mut Tensor, u64) -> Status,
    dequantize: extern "C" fn(*const Quantizer, *const Call, *const Param, *const *const Tensor, u64, i64, *mut Tensor) -> Status,
}
#[repr(C)]
struct Factory {
    count: extern "C" fn() -> u32,
    method: extern "C" fn(u32) -> *const Method,
    write_schema: extern "C" fn(*const Call, u32, Text, *const Sink) -> Status,
    normalize: extern "C" fn(*const Call, u32, *const Config, *const Sink) -> Status,
    create: extern "C" fn(*const Call, u32, *const Config, *mut *mut Quantizer) -> Status,
}
#[repr(C)]
pub struct Entry {
    magic: u32,
    struct_size: u32,
    abi_major: u32,
    abi_minor: u32,
    min_host_minor: u32,
    reserved: u32,
    init: extern "C" fn(*const Host, u32, *const Sink) -> Status,
    deinit: extern "C" fn(),
    get_factory: extern "C" fn(*const c_char) -> *const c_void,
}
// Constants that never change hold pointers to others of their kind.
struct Constant<T>(T);
unsafe impl<T> Sync for Constant<T> {}
unsafe impl Sync for Entry {}

const F32: DType = DType { code: 2, bits: 32, lanes: 1 };
const F16: DType = DType { code: 2, bits: 16, lanes: 1 };
const BF16: DType = DType { code: 4, bits: 16, lanes: 1 };
const I8: DType = DType { code: 0, bits: 8, lanes: 1 };
const CONFIG: &[u8] = b"{\"quant_method\":\"my_method\"}";

static HOST: AtomicPtr<Host> = AtomicPtr::new(ptr::null_mut());
static THREADS: AtomicPtr<HostThreads> = AtomicPtr::new(ptr::null_mut());

fn text(what: &'static str) -> Text {
    Text { data: what.as_ptr(), size: what.len() as u64 }
}
fn fail(call: *const Call, status: Status, why: &'static str) -> Status {
    if let Some(report) = unsafe { (*call).fail } {
        report(call, status, text(why));
    }
    status
}
fn stopped(call: *const Call, fraction: f64) -> bool {
    unsafe { (*call).poll }.map_or(false, |poll| poll(call, fraction, text("")) != 0)
}
unsafe fn named(id: *const c_char, name: &str) -> bool {
    std::ffi::CStr::from_ptr(id).to_bytes() == name.as_bytes()
}
unsafe fn data(tensor: *const Tensor) -> *mut u8 {
    (*tensor).view.data.add((*tensor).view.byte_offset as usize)
}

unsafe fn load(dtype: DType, at: *const u8) -> f32 {
    if dtype == F32 {
        return (at as *const f32).read_unaligned();
    }
    let bits = (at as *const u16).read_unaligned() as u32;
    if dtype == BF16 {
        return f32::from_bits(bits << 16);
    }
    let (sign, exponent, mantissa) = ((bits & 0x8000) << 16, (bits >> 10) & 31, bits & 0x3ff);
    match exponent {
        0 => f32::from_bits(sign | (mantissa as f32 * (-24f32).exp2()).to_bits()),
        31 => f32::from_bits(sign | 0x7f80_0000 | (mantissa << 13)),
        _ => f32::from_bits(sign | ((exponent + 112) << 23) | (mantissa << 13)),
    }
}
// Rounds to nearest, ties to even. The values are finite.
unsafe fn store(dtype: DType, value: f32, at: *mut u8) {
    let bits = value.to_bits();
    if dtype == F32 {
        return (at as *mut u32).write_unaligned(bits);
    }
    let half = if dtype == BF16 {
        ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
    } else {
        let (sign, size) = ((bits >> 16) & 0x8000, value.abs());
        let rounded = if size >= 65520.0 {
            0x7c00
        } else if size < (-14f32).exp2() {
            (size * 24f32.exp2()).round_ties_even() as u32
        } else {
            let magnitude = bits & 0x7fff_ffff;
            (magnitude + 0xfff + ((magnitude >> 13) & 1) - (112 << 23)) >> 13
        };
        (sign | rounded) as u16
    };
    (at as *mut u16).write_unaligned(half)
}

fn check_param(call: *const Call, param: &Param) -> Status {
    if ![F32, F16, BF16].contains(&param.dtype) {
        return fail(call, UNSUPPORTED, "the weight is not float32, float16 or bfloat16");
    }
    if param.ndim != 2 {
        return fail(call, UNSUPPORTED, "the weight is not a matrix");
    }
    OK
}
unsafe fn describe(out: *mut TensorSpec, name: &'static str, dtype: DType, shape: &[i64]) {
    let out = &mut *out;
    out.flags = 0;
    out.name = text(name);
    out.dtype = dtype;
    out.ndim = shape.len() as i32;
    out.shape = [0; 8];
    out.shape[..shape.len()].copy_from_slice(shape);
    out.nbytes = shape.iter().fold(dtype.bits as u64 / 8, |bytes, &size| bytes.wrapping_mul(size as u64));
    (out.alignment, out.encoding, out.layout) = (0, ptr::null(), ptr::null());
}

extern "C" fn plan(_: *const Quantizer, call: *const Call, device: Device, param: *const Param, out: *mut Plan) -> Status {
    let (param, out) = unsafe { (&*param, &mut *out) };
    if device.kind != 1 {
        return fail(call, UNSUPPORTED, "only the CPU is supported");
    }
    let status = check_param(call, param);
    if status != OK {
        return status;
    }
    (out.flags, out.workspace_size, out.count) = (0, 0, 2);
    if out.capacity < 2 {
        return fail(call, INVALID_ARGUMENT, "the plan has two tensors");
    }
    unsafe {
        let shape = std::slice::from_raw_parts(param.shape, 2);
        describe(*out.outputs, "weight", I8, shape);
        describe(*out.outputs.add(1), "weight_scale", F32, &shape[..1]);
    }
    OK
}

struct Job {
    call: *const Call,
    weight: *const Tensor,
    parts: [*mut Tensor; 2],
}

extern "C" fn quantize_rows(ctx: *mut c_void, begin: u64, end: u64) {
    unsafe {
        let job = &*(ctx as *const Job);
        let view = &(*job.weight).view;
        let (columns, size) = (*view.shape.add(1), view.dtype.bits as i64 / 8);
        for row in begin as i64..end as i64 {
            if stopped(job.call, row as f64 / *view.shape as f64) {
                return;
            }
            let values = data(job.weight).offset((row * *view.strides * size) as isize);
            let at = |column: i64| load(view.dtype, values.offset((column * *view.strides.add(1) * size) as isize));
            let largest = (0..columns).map(|i| at(i).abs()).filter(|value| value.is_finite()).fold(0f32, f32::max);
            let scale = if largest > 127.0 * f32::MIN_POSITIVE { largest / 127.0 } else { 1.0 };
            store(F32, scale, data(job.parts[1]).offset(row as isize * 4));
            let codes = data(job.parts[0]).offset((row * columns) as isize) as *mut i8;
            for column in 0..columns {
                let code = at(column) / scale;
                let bounded = if code > 127.0 { 127.0 } else if code > -127.0 { code } else { -127.0 };
                *codes.offset(column as isize) = bounded.round() as i8;
            }
        }
    }
}

extern "C" fn quantize(
    _: *const Quantizer, call: *const Call, param: *const Param, weight: *const Tensor, parts: *const *mut Tensor, count: u64,
) -> Status {
    let status = check_param(call, unsafe { &*param });
    if status != OK {
        return status;
    }
    if count != 2 {
        return fail(call, INVALID_ARGUMENT, "there must be two parts");
    }
    let (job, rows) = unsafe { (Job { call, weight, parts: [*parts, *parts.add(1)] }, *(*param).shape as u64) };
    let ctx = &job as *const Job as *mut c_void;
    let threads = THREADS.load(Ordering::Acquire);
    if threads.is_null() {
        quantize_rows(ctx, 0, rows);
    } else {
        let ran = unsafe { ((*threads).parallel_for)(HOST.load(Ordering::Acquire), rows, 16, quantize_rows, ctx) };
        if ran != OK {
            return fail(call, ran, "the host did not run every row");
        }
    }
    if stopped(call, 1.0) { fail(call, CANCELLED, "cancelled") } else { OK }
}

extern "C" fn dequantize(
    _: *const Quantizer, call: *const Call, param: *const Param, parts: *const *const Tensor, count: u64, begin: i64, weight: *mut Tensor,
) -> Status {
    unsafe {
        let (param, view) = (&*param, &(*weight).view);
        if param.ndim != 2 || count != 2 || begin < 0 || *view.shape > *param.shape - begin {
            return fail(call, INVALID_ARGUMENT, "the parts or the rows are not those of the weight");
        }
        let (rows, columns, size) = (*param.shape, *param.shape.add(1), view.dtype.bits as i64 / 8);
        if (**parts).nbytes != (rows * columns) as u64 || (**parts.add(1)).nbytes != (rows * 4) as u64 {
            return fail(call, DATA_LOSS, "'weight' or 'weight_scale' has the wrong size");
        }
        for row in 0..*view.shape {
            let scale = load(F32, data(*parts.add(1)).offset((begin + row) as isize * 4));
            for column in 0..columns {
                let code = *(data(*parts).offset(((begin + row) * columns + column) as isize) as *const i8);
                store(view.dtype, code as f32 * scale, data(weight).offset(((row * columns + column) * size) as isize));
            }
        }
    }
    OK
}

static QUANTIZE: QuantizeTable = QuantizeTable { plan, quantize, dequantize };
static DEVICES: [Device; 1] = [Device { kind: 1, index: -1 }];
static TABLES: Constant<[*const c_char; 2]> = Constant([c"precis.quantize/1".as_ptr(), ptr::null()]);
static METHOD: Constant<Method> = Constant(Method {
    struct_size: std::mem::size_of::<Method>() as u32,
    flags: 0,
    id: c"my_method".as_ptr(),
    quant_method: c"my_method".as_ptr(),
    version: c"1.0".as_ptr(),
    container: c"safetensors".as_ptr(),
    devices: &DEVICES as *const Device,
    device_count: 1,
    reserved: 0,
    extensions: &TABLES.0 as *const *const c_char,
});

extern "C" fn get_extension(_: *const Quantizer, id: *const c_char) -> *const c_void {
    if unsafe { named(id, "precis.quantize/1") } { &QUANTIZE as *const QuantizeTable as *const c_void } else { ptr::null() }
}
extern "C" fn destroy(quantizer: *mut Quantizer) {
    drop(unsafe { Box::from_raw(quantizer) });
}
extern "C" fn count() -> u32 {
    1
}
extern "C" fn method(index: u32) -> *const Method {
    if index == 0 { &METHOD.0 } else { ptr::null() }
}
extern "C" fn write_schema(call: *const Call, index: u32, _: Text, out: *const Sink) -> Status {
    let schema = text("{\"type\":\"object\",\"properties\":{}}");
    if index != 0 {
        return fail(call, NOT_FOUND, "there is one method");
    }
    unsafe { ((*out).write)((*out).ctx, schema.data, schema.size) };
    OK
}
fn check_config(call: *const Call, index: u32, config: *const Config) -> Status {
    let json = unsafe { (*config).json };
    let given: &[u8] = if json.size == 0 { b"" } else { unsafe { std::slice::from_raw_parts(json.data, json.size as usize) } };
    let same = |wanted: &[u8]| given.iter().filter(|c| !c.is_ascii_whitespace()).eq(wanted.iter());
    if index != 0 {
        return fail(call, NOT_FOUND, "there is one method");
    }
    if same(CONFIG) || same(b"{}") { OK } else { fail(call, INVALID_ARGUMENT, "my_method has no key but 'quant_method'") }
}
extern "C" fn normalize(call: *const Call, index: u32, config: *const Config, out: *const Sink) -> Status {
    let status = check_config(call, index, config);
    if status == OK {
        unsafe { ((*out).write)((*out).ctx, CONFIG.as_ptr(), CONFIG.len() as u64) };
    }
    status
}
extern "C" fn create(call: *const Call, index: u32, config: *const Config, out: *mut *mut Quantizer) -> Status {
    let status = check_config(call, index, config);
    if status == OK {
        let made = Quantizer { method: &METHOD.0, state: ptr::null_mut(), destroy, get_extension };
        unsafe { *out = Box::into_raw(Box::new(made)) };
    }
    status
}
static FACTORY: Factory = Factory { count, method, write_schema, normalize, create };

extern "C" fn init(host: *const Host, _: u32, _: *const Sink) -> Status {
    let threads = unsafe { ((*host).get_extension)(host, c"precis.host.threads/1".as_ptr()) };
    HOST.store(host as *mut Host, Ordering::Release);
    THREADS.store(threads as *mut HostThreads, Ordering::Release);
    OK
}
extern "C" fn deinit() {}
extern "C" fn get_factory(id: *const c_char) -> *const c_void {
    if unsafe { named(id, "precis.quantizer-factory/1") } { &FACTORY as *const Factory as *const c_void } else { ptr::null() }
}

#[no_mangle]
#[allow(non_upper_case_globals)]
pub static precis_plugin_entry_v1: Entry = Entry {
    magic: 0x43455250,
    struct_size: std::mem::size_of::<Entry>() as u32,
    abi_major: 1,
    abi_minor: 0,
    min_host_minor: 0,
    reserved: 0,
    init,
    deinit,
    get_factory,
};

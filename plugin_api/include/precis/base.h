/* Vocabulary shared by every precis header: versions, status values, strings, devices and data
 * types.
 *
 * These headers are C11 and clean as C++11 and later; they include nothing but <stddef.h> and
 * <stdint.h>. plugin_api/README.md states the growth rules R1-R10 that they follow.
 *
 * What holds where nothing else is said:
 *   A pointer is not NULL; one to the items of a count may be when the count is 0.
 *   A `const char*` is UTF-8 and ends with a NUL.
 *   Arguments are borrowed: whoever needs them after the function returned copies them.
 *   An output is not looked at when the function fails.
 *   Unknown bits of `flags` are ignored; `reserved` is written as 0 and not looked at.
 *
 * Thread tags:
 *   [any thread]            also on several threads at once
 *   [one thread at a time]  on any thread, but the host keeps two calls apart
 *   [load]                  one thread at a time, and no other function of the plugin meanwhile
 * A sink takes one call at a time, before the function that it was given to returns.
 */
#ifndef PRECIS_BASE_H
#define PRECIS_BASE_H

#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX != UINT64_MAX
#error "the precis plugin ABI is defined for 64-bit platforms"
#endif

/* Within a major there are additions alone: plugin_api/README.md, "Versions". */
#define PRECIS_ABI_MAJOR 1u
#define PRECIS_ABI_MINOR 0u

#if defined(_WIN32)
#define PRECIS_CALL __cdecl
#define PRECIS_EXPORT __declspec(dllexport)
#else
#define PRECIS_CALL
#define PRECIS_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Result of a call. Numbers are stable; a reader treats a value it does not know as
 * PRECIS_INTERNAL. */
typedef int32_t precis_status;
enum {
  PRECIS_OK = 0,
  PRECIS_CANCELLED = 1,           /* poll() asked to stop */
  PRECIS_INVALID_ARGUMENT = 2,    /* a value is wrong; Python's libraries raise ValueError */
  PRECIS_UNSUPPORTED = 3,         /* right in itself, but this plugin or device cannot do it */
  PRECIS_NOT_FOUND = 4,           /* a tensor, key or name is absent */
  PRECIS_FAILED_PRECONDITION = 5, /* needs something first: calibration, a library, another call */
  PRECIS_OUT_OF_MEMORY = 6,
  PRECIS_DATA_LOSS = 7, /* stored bytes contradict their own description */
  PRECIS_DEVICE_ERROR = 8,
  PRECIS_ABI_MISMATCH = 9,
  PRECIS_INTERNAL = 10,
  PRECIS_INVALID_TYPE = 11 /* a value is of the wrong type; Python's libraries raise TypeError */
};

/* UTF-8 text, not NUL-terminated. {NULL, 0} is the empty string. */
typedef struct precis_str {
  const char* data;
  uint64_t size;
} precis_str;

/* Where a callee writes text or bytes of a length that only it knows. write() may be called any
 * number of times; the pieces are concatenated. The data is copied before write() returns. */
typedef struct precis_sink {
  void* ctx;
  void(PRECIS_CALL* write)(void* ctx, const char* data, uint64_t size);
} precis_sink;

/* A device by DLPack's codes: 1 CPU, 2 CUDA, 10 ROCm. The CPU is {1, 0}. Others, and codes that a
 * plugin does not know, are refused with PRECIS_UNSUPPORTED. */
typedef struct precis_device {
  int32_t type;
  int32_t index;
} precis_device;
enum { PRECIS_DEVICE_CPU = 1, PRECIS_DEVICE_CUDA = 2, PRECIS_DEVICE_ROCM = 10 };

/* A real number format by DLPack 1.1's type codes; lanes is 1. Unknown ones are refused with
 * PRECIS_UNSUPPORTED. Codebook and block formats are not number types: their memory is uint8 or
 * int32, and precis_tensor.encoding says what it means. */
typedef struct precis_dtype {
  uint8_t code;
  uint8_t bits;
  uint16_t lanes;
} precis_dtype;
enum {
  PRECIS_TYPE_INT = 0,
  PRECIS_TYPE_UINT = 1,
  PRECIS_TYPE_FLOAT = 2,
  PRECIS_TYPE_BFLOAT = 4,
  PRECIS_TYPE_COMPLEX = 5,
  PRECIS_TYPE_BOOL = 6,
  PRECIS_TYPE_FLOAT8_E3M4 = 7,
  PRECIS_TYPE_FLOAT8_E4M3 = 8,
  PRECIS_TYPE_FLOAT8_E4M3B11FNUZ = 9,
  PRECIS_TYPE_FLOAT8_E4M3FN = 10,
  PRECIS_TYPE_FLOAT8_E4M3FNUZ = 11,
  PRECIS_TYPE_FLOAT8_E5M2 = 12,
  PRECIS_TYPE_FLOAT8_E5M2FNUZ = 13,
  PRECIS_TYPE_FLOAT8_E8M0FNU = 14,
  PRECIS_TYPE_FLOAT6_E2M3FN = 15,
  PRECIS_TYPE_FLOAT6_E3M2FN = 16,
  PRECIS_TYPE_FLOAT4_E2M1FN = 17
};

#ifdef __cplusplus
}
#endif

#endif

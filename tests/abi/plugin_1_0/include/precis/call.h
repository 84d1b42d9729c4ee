/* precis_call: what accompanies every call that works or that can fail. */
#ifndef PRECIS_CALL_H
#define PRECIS_CALL_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  /* The stream is being captured into a graph: no allocation, no synchronisation, no host callback.
   */
  PRECIS_CALL_STREAM_CAPTURING = 1u << 0
};

/* The one place where hot paths may grow. Owned by the host, valid until the call returns. A
 * function whose text names no workspace has none: NULL and 0. */
typedef struct precis_call {
  uint32_t struct_size;
  uint32_t flags;
  void* ctx;       /* the host's own */
  void* stream;    /* of the planned device, cudaStream_t or hipStream_t as is; NULL: its legacy
                      default stream; on the CPU NULL */
  void* workspace; /* at least the planned size, 64-byte aligned; contents undefined */
  uint64_t workspace_size; /* bytes */

  /* Reports why the call fails: once, before returning the same status. The message is UTF-8, names
   * the parameter or the config key at fault, and is copied up to 4 KiB. May be NULL: skip it. [any
   * thread] */
  void(PRECIS_CALL* fail)(const struct precis_call* call, precis_status status, precis_str message);

  /* Progress in [0, 1] and what is being done, often empty. Long calls poll at least every 100 ms
   * of work. Non-zero: stop, return PRECIS_CANCELLED; outputs are then undefined, handles stay
   * usable. May be NULL: skip it. [any thread] */
  int32_t(PRECIS_CALL* poll)(const struct precis_call* call, double fraction, precis_str what);
} precis_call;

#ifdef __cplusplus
}
#endif

#endif

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

/* The one place where hot paths may grow. Owned by the host, valid until the call returns. */
typedef struct precis_call {
  uint32_t struct_size;
  uint32_t flags;
  void* ctx;       /* the host's own */
  void* stream;    /* cudaStream_t or hipStream_t as is; NULL: that device's default stream */
  void* workspace; /* at least the planned size, 64-byte aligned; contents undefined */
  uint64_t workspace_size; /* bytes */

  /* Reports why the call fails: once, before returning a status other than PRECIS_OK. The message
   * is UTF-8, at most 4 KiB, and names the parameter or the config key at fault. May be NULL: skip
   * it. [any thread] */
  void(PRECIS_CALL* fail)(const struct precis_call* call, precis_status status, precis_str message);

  /* Progress in [0, 1] and what is being done. Long calls poll at least every 100 ms of work.
   * Non-zero: stop, return PRECIS_CANCELLED; outputs are then undefined, handles stay usable.
   * May be NULL: skip it. [any thread] */
  int32_t(PRECIS_CALL* poll)(const struct precis_call* call, double fraction, precis_str what);
} precis_call;

#ifdef __cplusplus
}
#endif

#endif

/* What the host offers to plugins. */
#ifndef PRECIS_HOST_H
#define PRECIS_HOST_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Handed to precis_plugin_entry.init; valid until deinit returns, and so are its texts and tables.
 */
typedef struct precis_host {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t reserved;
  void* ctx;
  const char* name;
  const char* version;

  /* The table with this id, or NULL: every table is optional for the host. [any thread] */
  const void*(PRECIS_CALL* get_extension)(const struct precis_host* host, const char* id);
} precis_host;

#define PRECIS_HOST_LOG_1 "precis.host.log/1"
enum { PRECIS_LOG_DEBUG = 0, PRECIS_LOG_INFO = 1, PRECIS_LOG_WARNING = 2, PRECIS_LOG_ERROR = 3 };

typedef struct precis_host_log_v1 {
  /* One message without a trailing newline. Unknown severities read as PRECIS_LOG_ERROR. [any
   * thread] */
  void(PRECIS_CALL* log)(const precis_host* host, int32_t severity, precis_str message);
} precis_host_log_v1;

#define PRECIS_HOST_THREADS_1 "precis.host.threads/1"

typedef struct precis_host_threads_v1 {
  /* How many pieces of work can run at once; at least 1. [any thread] */
  uint32_t(PRECIS_CALL* concurrency)(const precis_host* host);

  /* Calls fn(ctx, begin, end) over pieces of [0, n) of about `grain` items (0: the host chooses)
   * and returns when all are done. Pieces may run on the caller and on other threads, in any order;
   * nested calls are allowed. fn must not throw, and must not wait for another piece. PRECIS_OK:
   * every piece ran; otherwise some did not, and the caller fails with that status. Absent table:
   * run the loop on the calling thread. [any thread] */
  precis_status(PRECIS_CALL* parallel_for)(const precis_host* host, uint64_t n, uint64_t grain,
                                           void(PRECIS_CALL* fn)(void* ctx, uint64_t begin,
                                                                 uint64_t end),
                                           void* ctx);
} precis_host_threads_v1;

#define PRECIS_HOST_MEMORY_1 "precis.host.memory/1"

/* `owner` is the host's. */
typedef struct precis_buffer {
  void* ptr;
  uint64_t size;
  void* owner;
  precis_device device;
} precis_buffer;

typedef struct precis_host_memory_v1 {
  /* Memory on `device`, stream-ordered on devices that have streams. alignment: a power of two; 0
   * means 64. PRECIS_OUT_OF_MEMORY: there is none left; PRECIS_UNSUPPORTED: the host has none on
   * such a device. [any thread] */
  precis_status(PRECIS_CALL* alloc)(const precis_host* host, precis_device device, uint64_t size,
                                    uint64_t alignment, void* stream, precis_buffer* out);
  /* Gives a buffer of alloc back and zeroes it. A zeroed buffer is ignored. [any thread] */
  void(PRECIS_CALL* free)(const precis_host* host, precis_buffer* buffer, void* stream);
} precis_host_memory_v1;

#ifdef __cplusplus
}
#endif

#endif

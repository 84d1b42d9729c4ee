/* What every plugin in C needs in the same form: texts, failing, stopping, tensors' memory, and the
 * answers to the questions of precis.loading/1 that most methods have no opinion about.
 *
 * All functions: [any thread].
 */
#ifndef PRECIS_SDK_PLUGIN_H
#define PRECIS_SDK_PLUGIN_H

#include <precis/numbers.h>
#include <precis/precis.h>

/* A text of the ABI from a string that ends with a NUL. */
static inline precis_str precis_text(const char* chars) {
  precis_str made;
  made.data = chars;
  made.size = strlen(chars);
  return made;
}

/* Reports why the call fails; gives `status`, to be returned. `why` names the parameter or key. */
static inline precis_status precis_fail(const precis_call* call, precis_status status,
                                        const char* why) {
  if (call->fail != NULL) call->fail(call, status, precis_text(why));
  return status;
}

/* Whether the host asks to stop: then return precis_fail(call, PRECIS_CANCELLED, ...). Ask at least
 * every 100 ms of work. */
static inline int precis_stopped(const precis_call* call, double fraction) {
  return call->poll != NULL && call->poll(call, fraction, precis_text("")) != 0;
}

/* Where the tensor's element of index 0 is. */
static inline unsigned char* precis_data(const precis_tensor* tensor) {
  return (unsigned char*)tensor->view.data + tensor->view.byte_offset;
}

/* Begins a plan of `count` tensors without a workspace. 0: the host left too little room, so return
 * PRECIS_INVALID_ARGUMENT; it asks again. */
static inline int precis_begin_plan(precis_plan* out, uint32_t count) {
  out->flags = 0;
  out->workspace_size = 0;
  out->count = count;
  return count <= out->capacity;
}

/* One tensor of a plan: plain numbers of whole bytes. `name` is
 * static; `shape` has `ndim` dimensions. */
static inline void precis_describe(precis_tensor_spec* out, const char* name, precis_dtype dtype,
                                   int32_t ndim, const int64_t* shape) {
  int32_t i;
  out->flags = 0;
  out->name = precis_text(name);
  out->dtype = dtype;
  out->ndim = ndim;
  out->nbytes = dtype.bits / 8u;
  for (i = 0; i < 8; ++i) out->shape[i] = i < ndim ? shape[i] : 0;
  for (i = 0; i < ndim; ++i) out->nbytes *= (uint64_t)shape[i];
  out->alignment = 0;
  out->encoding = NULL;
  out->layout = NULL;
}

/* precis.loading/1 of a method that asks nothing of its environment. */
static inline precis_status precis_any_environment(const precis_quantizer* quantizer,
                                                   const precis_call* call, precis_str json) {
  (void)quantizer, (void)call, (void)json;
  return PRECIS_OK;
}
static inline precis_status precis_same_compute_dtype(const precis_quantizer* quantizer,
                                                      const precis_call* call, precis_dtype asked,
                                                      precis_dtype* out) {
  (void)quantizer, (void)call;
  *out = asked;
  return PRECIS_OK;
}
static inline precis_status precis_same_device_map(const precis_quantizer* quantizer,
                                                   const precis_call* call, precis_str json,
                                                   const precis_sink* out) {
  (void)quantizer, (void)call;
  out->write(out->ctx, json.data, json.size);
  return PRECIS_OK;
}
static inline precis_status precis_same_budgets(const precis_quantizer* quantizer,
                                                const precis_call* call, precis_budget* budgets,
                                                uint64_t count) {
  (void)quantizer, (void)call, (void)budgets, (void)count;
  return PRECIS_OK;
}
static inline precis_status precis_same_keys(const precis_quantizer* quantizer,
                                             const precis_call* call, int32_t which,
                                             const precis_str* keys, uint64_t count,
                                             const precis_key_sink* out) {
  uint64_t i;
  (void)quantizer, (void)call, (void)which;
  for (i = 0; i < count; ++i) out->emit(out->ctx, keys[i]);
  return PRECIS_OK;
}

/* Defines the one exported symbol. Use once, at file scope, followed by a semicolon. */
#define PRECIS_PLUGIN_ENTRY(init, deinit, get_factory)                             \
  PRECIS_EXPORT extern const precis_plugin_entry precis_plugin_entry_v1;           \
  const precis_plugin_entry precis_plugin_entry_v1 = {PRECIS_ENTRY_MAGIC,          \
                                                      sizeof(precis_plugin_entry), \
                                                      PRECIS_ABI_MAJOR,            \
                                                      PRECIS_ABI_MINOR,            \
                                                      0,                           \
                                                      0,                           \
                                                      init,                        \
                                                      deinit,                      \
                                                      get_factory}

#endif

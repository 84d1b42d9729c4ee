/* precis.loading/1: the questions that a loader asks before and while it reads a checkpoint.
 *
 * It covers the hooks that DiffusersQuantizer and HfQuantizer put to a quantizer without a module
 * tree in hand; the table in plugin_api/README.md maps each hook.
 */
#ifndef PRECIS_EXT_LOADING_H
#define PRECIS_EXT_LOADING_H

#include "../quantizer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PRECIS_LOADING_1 "precis.loading/1"

/* Bytes that a loader may place on a device. It does not grow: budgets are an array of it. */
typedef struct precis_budget {
  precis_device device;
  uint64_t bytes;
} precis_budget;

/* How one parameter is kept. */
typedef struct precis_storage {
  uint32_t struct_size;
  uint32_t flags;
  uint64_t bytes;     /* in memory once loaded */
  precis_dtype dtype; /* keep != 0: what it is cast to; all zero: as it is */
  int32_t keep;       /* 0: quantized by this method; 1: left as numbers */
  precis_str reason;  /* keep != 0: why, in a few words; static or owned by the quantizer */
} precis_storage;

/* Receives the keys of rewrite_keys. */
typedef struct precis_key_sink {
  void* ctx;
  void(PRECIS_CALL* emit)(void* ctx, precis_str key);
} precis_key_sink;

/* Receives the parameters that quantized_params finds: the parameter, and the indices in the state
 * dict of its parts, in the order that dequantize expects. Everything is copied before emit
 * returns. */
typedef struct precis_param_sink {
  void* ctx;
  void(PRECIS_CALL* emit)(void* ctx, const precis_param* param, const uint64_t* part_indices,
                          uint64_t part_count);
} precis_param_sink;

/* Which set of keys rewrite_keys is asked about. Unknown values: emit the keys unchanged. */
enum {
  PRECIS_KEYS_MISSING = 0,
  PRECIS_KEYS_EXPECTED = 1,
  PRECIS_KEYS_UNEXPECTED = 2,
  PRECIS_KEYS_LOADED = 3
};

/* All functions: [any thread]. */
typedef struct precis_loading_v1 {
  /* Refuses an environment that the method cannot run in, naming what is missing. The object has
   * "devices" (array of "cpu", "cuda:0"...), "device_map" (as the user gave it or null), "dtype",
   * "pre_quantized", "libraries" (name to version). */
  precis_status(PRECIS_CALL* validate)(const precis_quantizer* quantizer, const precis_call* call,
                                       precis_str environment_json);

  /* The dtype the rest of the model is loaded in when `asked` was given (all zero: nothing asked).
   */
  precis_status(PRECIS_CALL* compute_dtype)(const precis_quantizer* quantizer,
                                            const precis_call* call, precis_dtype asked,
                                            precis_dtype* out);

  /* The device map to use for `map_json` (a JSON string, object or null), as JSON. */
  precis_status(PRECIS_CALL* device_map)(const precis_quantizer* quantizer, const precis_call* call,
                                         precis_str map_json, const precis_sink* out);

  /* Lowers budgets in place where the method needs room while it loads. */
  precis_status(PRECIS_CALL* budgets)(const precis_quantizer* quantizer, const precis_call* call,
                                      precis_budget* budgets, uint64_t count);

  /* Whether `param` is quantized or kept, by the method's own rules and its list of modules not to
   * convert, and how many bytes it then takes. Parts whose size no shape tells, such as outliers,
   * which `check` takes in any size, may be left out of them. */
  precis_status(PRECIS_CALL* storage)(const precis_quantizer* quantizer, const precis_call* call,
                                      const precis_param* param, precis_storage* out);

  /* The keys of set `which` as the loader shall see them. */
  precis_status(PRECIS_CALL* rewrite_keys)(const precis_quantizer* quantizer,
                                           const precis_call* call, int32_t which,
                                           const precis_str* keys, uint64_t count,
                                           const precis_key_sink* out);

  /* Finds the parameters of this method among the tensors of a quantized checkpoint. A parameter
   * whose shape the tensors do not tell is emitted with ndim -1. Tensors that belong to no
   * parameter of this method are left to the caller. PRECIS_DATA_LOSS: parts are missing or
   * contradict each other. */
  precis_status(PRECIS_CALL* quantized_params)(const precis_quantizer* quantizer,
                                               const precis_call* call,
                                               const precis_state_dict* state_dict,
                                               const precis_param_sink* out);

  /* Whether `parts` can be the stored form of `param`: names, shapes, dtypes, encodings. */
  precis_status(PRECIS_CALL* check)(const precis_quantizer* quantizer, const precis_call* call,
                                    const precis_param* param,
                                    const precis_tensor_info* const* parts, uint64_t part_count);
} precis_loading_v1;

#ifdef __cplusplus
}
#endif

#endif

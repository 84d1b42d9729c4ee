/* old_plugin: the weight of a Linear as 8-bit integers with one scale a row.
 *
 * weight[row][column] = code * scale[row], scale[row] = largest magnitude of the row / 127.
 * A checkpoint has for each weight `weight`, int8 [out_features, in_features], and `weight_scale`,
 * float32 [out_features].
 */
#include <float.h>
#include <precis/plugin.h>

static const precis_dtype kFloat32 = {PRECIS_TYPE_FLOAT, 32, 1}, kInt8 = {PRECIS_TYPE_INT, 8, 1};
static const char kConfig[] = "{\"quant_method\":\"old_plugin\"}";
static const precis_host* host;
static const precis_host_threads_v1* threads; /* NULL: the host has none to lend */

/* ---- precis.quantize/1: what a weight becomes, encoding it, decoding it ---- */

static precis_status check_param(const precis_call* call, const precis_param* param) {
  if (!precis_is_weight_dtype(param->dtype))
    return precis_fail(call, PRECIS_UNSUPPORTED, "the weight is not float32, float16 or bfloat16");
  if (param->ndim != 2) return precis_fail(call, PRECIS_UNSUPPORTED, "the weight is not a matrix");
  return PRECIS_OK;
}

static precis_status plan(const precis_quantizer* quantizer, const precis_call* call,
                          precis_device device, const precis_param* param, precis_plan* out) {
  (void)quantizer;
  if (device.type != PRECIS_DEVICE_CPU)
    return precis_fail(call, PRECIS_UNSUPPORTED, "only the CPU is supported");
  const precis_status status = check_param(call, param);
  if (status != PRECIS_OK) return status;
  if (!precis_begin_plan(out, 2))
    return precis_fail(call, PRECIS_INVALID_ARGUMENT, "the plan has two tensors");
  precis_describe(out->outputs[0], "weight", kInt8, 2, param->shape);
  precis_describe(out->outputs[1], "weight_scale", kFloat32, 1, param->shape);
  return PRECIS_OK;
}

struct job {
  const precis_call* call;
  const precis_tensor* weight;
  precis_tensor* const* parts;
};

static void quantize_rows(void* ctx, uint64_t begin, uint64_t end) {
  const struct job* job = (const struct job*)ctx;
  const precis_view* in = &job->weight->view;
  const int64_t columns = in->shape[1], size = in->dtype.bits / 8;
  for (int64_t row = (int64_t)begin; row < (int64_t)end; ++row) {
    if (precis_stopped(job->call, (double)row / (double)in->shape[0])) return;
    const unsigned char* values = precis_data(job->weight) + row * in->strides[0] * size;
    int8_t* codes = (int8_t*)precis_data(job->parts[0]) + row * columns;
    float largest = 0;
    for (int64_t i = 0; i < columns; ++i) {
      const float value = precis_load(in->dtype, values + i * in->strides[1] * size);
      const float magnitude = value < 0 ? -value : value;
      if (magnitude > largest && magnitude <= FLT_MAX) largest = magnitude;
    }
    const float scale = largest > 127 * FLT_MIN ? largest / 127 : 1;
    precis_store(kFloat32, scale, precis_data(job->parts[1]) + row * 4);
    for (int64_t i = 0; i < columns; ++i) {
      const float code = precis_load(in->dtype, values + i * in->strides[1] * size) / scale;
      const float bounded = code > 127 ? 127 : code > -127 ? code : -127; /* NaN: -127 */
      codes[i] = (int8_t)(bounded < 0 ? bounded - 0.5f : bounded + 0.5f);
    }
  }
}

static precis_status quantize(const precis_quantizer* quantizer, const precis_call* call,
                              const precis_param* param, const precis_tensor* weight,
                              precis_tensor* const* parts, uint64_t part_count) {
  (void)quantizer;
  precis_status status = check_param(call, param);
  if (status != PRECIS_OK) return status;
  if (part_count != 2) return precis_fail(call, PRECIS_INVALID_ARGUMENT, "there must be two parts");
  struct job job = {call, weight, parts};
  const uint64_t rows = (uint64_t)param->shape[0];
  if (threads == NULL) quantize_rows(&job, 0, rows);
  if (threads != NULL) status = threads->parallel_for(host, rows, 16, quantize_rows, &job);
  if (status != PRECIS_OK) return precis_fail(call, status, "the host did not run every row");
  return precis_stopped(call, 1) ? precis_fail(call, PRECIS_CANCELLED, "cancelled") : PRECIS_OK;
}

static precis_status dequantize(const precis_quantizer* quantizer, const precis_call* call,
                                const precis_param* param, const precis_tensor* const* parts,
                                uint64_t part_count, int64_t row_begin, precis_tensor* weight) {
  (void)quantizer;
  const precis_view* out = &weight->view;
  if (param->ndim != 2 || part_count != 2 || row_begin < 0 ||
      out->shape[0] > param->shape[0] - row_begin)
    return precis_fail(call, PRECIS_INVALID_ARGUMENT,
                       "the parts or the rows are not those of the weight");
  const int64_t rows = param->shape[0], columns = param->shape[1], size = out->dtype.bits / 8;
  if (parts[0]->nbytes != (uint64_t)(rows * columns) || parts[1]->nbytes != (uint64_t)(rows * 4))
    return precis_fail(call, PRECIS_DATA_LOSS, "'weight' or 'weight_scale' has the wrong size");
  for (int64_t row = 0; row < out->shape[0]; ++row) {
    const int8_t* codes = (const int8_t*)precis_data(parts[0]) + (row_begin + row) * columns;
    const float scale = precis_load(kFloat32, precis_data(parts[1]) + (row_begin + row) * 4);
    for (int64_t i = 0; i < columns; ++i)
      precis_store(out->dtype, (float)codes[i] * scale,
                   precis_data(weight) + (row * columns + i) * size);
  }
  return PRECIS_OK;
}

/* ---- precis.loading/1: what a loader asks; without this table nothing of it is read back ---- */

static precis_status storage(const precis_quantizer* quantizer, const precis_call* call,
                             const precis_param* param, precis_storage* out) {
  (void)quantizer, (void)call;
  const precis_str kind = param->module_kind;
  const int linear = kind.size == 6 && memcmp(kind.data, "Linear", 6) == 0 && param->ndim == 2;
  uint64_t elements = 1;
  for (int32_t i = 0; i < param->ndim; ++i) elements *= (uint64_t)param->shape[i];
  out->keep = !linear;
  out->reason = precis_text(linear ? "" : "only the weights of Linear modules are quantized");
  out->bytes = linear ? elements + 4 * (uint64_t)param->shape[0] : elements * param->dtype.bits / 8;
  return PRECIS_OK;
}

static precis_status check(const precis_quantizer* quantizer, const precis_call* call,
                           const precis_param* param, const precis_tensor_info* const* parts,
                           uint64_t n) {
  (void)quantizer;
  if (n != 2 || !precis_same_dtype(parts[0]->dtype, kInt8) || parts[0]->ndim != 2 ||
      param->ndim != 2 || memcmp(parts[0]->shape, param->shape, 2 * sizeof(int64_t)) != 0)
    return precis_fail(call, PRECIS_DATA_LOSS, "'weight' is not int8 [out_features, in_features]");
  if (!precis_same_dtype(parts[1]->dtype, kFloat32) || parts[1]->ndim != 1 ||
      parts[1]->shape[0] != param->shape[0])
    return precis_fail(call, PRECIS_DATA_LOSS, "'weight_scale' is not float32 [out_features]");
  return PRECIS_OK;
}

static precis_status quantized_params(const precis_quantizer* quantizer, const precis_call* call,
                                      const precis_state_dict* dict, const precis_param_sink* out) {
  static const char kAnchor[] = ".weight_scale";
  const uint64_t length = sizeof kAnchor - 1;
  for (uint64_t i = 0; i < dict->count; ++i) {
    const precis_tensor_info* pair[2] = {NULL, dict->info(dict, i)};
    precis_str name = pair[1]->name;
    if (name.size < length || memcmp(name.data + name.size - length, kAnchor, length) != 0)
      continue;
    name.size -= strlen("_scale");
    const int64_t found = dict->find(dict, name);
    if (found < 0) return precis_fail(call, PRECIS_DATA_LOSS, "a 'weight_scale' has no 'weight'");
    pair[0] = dict->info(dict, (uint64_t)found);
    precis_param param = {
        .struct_size = sizeof param, .name = name, .module_kind = precis_text("Linear")};
    param.dtype = kFloat32;
    param.ndim = pair[0]->ndim;
    param.shape = pair[0]->shape;
    const precis_status status = check(quantizer, call, &param, pair, 2);
    if (status != PRECIS_OK) return status;
    const uint64_t parts[2] = {(uint64_t)found, i};
    out->emit(out->ctx, &param, parts, 2);
  }
  return PRECIS_OK;
}

/* ---- the method, its factory, and the entry ---- */

static const precis_quantize_v1 kQuantize = {plan, quantize, dequantize};
static const precis_loading_v1 kLoading = {precis_any_environment,
                                           precis_same_compute_dtype,
                                           precis_same_device_map,
                                           precis_same_budgets,
                                           storage,
                                           precis_same_keys,
                                           quantized_params,
                                           check};

static const void* get_extension(const precis_quantizer* quantizer, const char* id) {
  (void)quantizer;
  if (strcmp(id, PRECIS_QUANTIZE_1) == 0) return &kQuantize;
  return strcmp(id, PRECIS_LOADING_1) == 0 ? &kLoading : NULL;
}
static void destroy(precis_quantizer* quantizer) {
  (void)quantizer;
}

static const precis_device kDevices[] = {{PRECIS_DEVICE_CPU, -1}};
static const char* const kTables[] = {PRECIS_QUANTIZE_1, PRECIS_LOADING_1, NULL};
static const precis_method kMethod = {sizeof(precis_method),
                                      PRECIS_METHOD_SERIALIZABLE,
                                      "old_plugin",
                                      "old_plugin",
                                      PRECIS_PLUGIN_VERSION,
                                      "safetensors",
                                      kDevices,
                                      1,
                                      0,
                                      kTables};
static precis_quantizer kQuantizer = {&kMethod, NULL, destroy, get_extension}; /* has no state */

static uint32_t count(void) {
  return 1;
}
static const precis_method* method(uint32_t index) {
  return index == 0 ? &kMethod : NULL;
}

static precis_status write_schema(const precis_call* call, uint32_t index, precis_str library,
                                  const precis_sink* out) {
  static const char kSchema[] = "{\"type\":\"object\",\"properties\":{}}";
  (void)library;
  if (index != 0) return precis_fail(call, PRECIS_NOT_FOUND, "there is one method");
  out->write(out->ctx, kSchema, sizeof kSchema - 1);
  return PRECIS_OK;
}

/* Takes {} and kConfig, whatever the spaces, for the method has no options. */
static precis_status check_config(const precis_call* call, uint32_t index,
                                  const precis_config* config) {
  char compact[sizeof kConfig + 1] = "";
  uint64_t size = 0;
  for (uint64_t i = 0; i < config->json.size && size < sizeof kConfig; ++i)
    if (memchr(" \t\r\n", config->json.data[i], 4) == NULL) compact[size++] = config->json.data[i];
  if (index != 0) return precis_fail(call, PRECIS_NOT_FOUND, "there is one method");
  if (strcmp(compact, kConfig) == 0 || strcmp(compact, "{}") == 0) return PRECIS_OK;
  return precis_fail(call, PRECIS_INVALID_ARGUMENT, "old_plugin has no key but 'quant_method'");
}

static precis_status normalize(const precis_call* call, uint32_t index, const precis_config* config,
                               const precis_sink* out) {
  const precis_status status = check_config(call, index, config);
  if (status == PRECIS_OK) out->write(out->ctx, kConfig, sizeof kConfig - 1);
  return status;
}
static precis_status create(const precis_call* call, uint32_t index, const precis_config* config,
                            precis_quantizer** out) {
  const precis_status status = check_config(call, index, config);
  if (status == PRECIS_OK) *out = &kQuantizer;
  return status;
}

static const precis_quantizer_factory_v1 kFactory = {count, method, write_schema, normalize,
                                                     create};

static precis_status init(const precis_host* from, uint32_t agreed_minor, const precis_sink* why) {
  (void)agreed_minor, (void)why;
  host = from; /* outlives the plugin */
  threads = (const precis_host_threads_v1*)from->get_extension(from, PRECIS_HOST_THREADS_1);
  return PRECIS_OK;
}
static void deinit(void) {}
static const void* get_factory(const char* id) {
  return strcmp(id, PRECIS_QUANTIZER_FACTORY_1) == 0 ? &kFactory : NULL;
}

PRECIS_PLUGIN_ENTRY(init, deinit, get_factory);

/* The tables and the entry of a plugin, with the functions that a fault names in place of the sound
 * ones. */
#ifndef FAULT_PLAN
#define FAULT_PLAN plan
#endif
#ifndef FAULT_QUANTIZE
#define FAULT_QUANTIZE quantize
#endif
#ifndef FAULT_DEQUANTIZE
#define FAULT_DEQUANTIZE dequantize
#endif
#ifndef FAULT_DEVICE_MAP
#define FAULT_DEVICE_MAP precis_same_device_map
#endif
#ifndef FAULT_STORAGE
#define FAULT_STORAGE storage
#endif
#ifndef FAULT_REWRITE_KEYS
#define FAULT_REWRITE_KEYS precis_same_keys
#endif
#ifndef FAULT_QUANTIZED_PARAMS
#define FAULT_QUANTIZED_PARAMS quantized_params
#endif
#ifndef FAULT_CHECK
#define FAULT_CHECK check
#endif
#ifndef FAULT_PLAN_PRODUCT
#define FAULT_PLAN_PRODUCT plan_product
#endif
#ifndef FAULT_PREPARE
#define FAULT_PREPARE prepare
#endif
#ifndef FAULT_FORWARD
#define FAULT_FORWARD forward
#endif
#ifndef FAULT_UNPACK
#define FAULT_UNPACK unpack
#endif
#ifndef FAULT_PLAN_STATE
#define FAULT_PLAN_STATE plan_state
#endif
#ifndef FAULT_OBSERVE
#define FAULT_OBSERVE observe
#endif
#ifndef FAULT_FINISH
#define FAULT_FINISH finish
#endif
#ifndef FAULT_PLAN_GRID
#define FAULT_PLAN_GRID plan_grid
#endif
#ifndef FAULT_READ_GRID
#define FAULT_READ_GRID read_grid
#endif
#ifndef FAULT_WRITE_GRID
#define FAULT_WRITE_GRID write_grid
#endif
#ifndef FAULT_CONFIG
#define FAULT_CONFIG write_config
#endif
#ifndef FAULT_METADATA
#define FAULT_METADATA write_nothing
#endif
#ifndef FAULT_SIDECAR_FILES
#define FAULT_SIDECAR_FILES write_nothing
#endif
#ifndef FAULT_GET_EXTENSION
#define FAULT_GET_EXTENSION faulty_extension
#endif
#ifndef FAULT_CONTAINER
#define FAULT_CONTAINER "safetensors"
#endif
#ifndef FAULT_DEVICES
#define FAULT_DEVICES kDevices
#define FAULT_DEVICE_COUNT 1
#endif
#ifndef FAULT_METHOD
#define FAULT_METHOD faulty_method
#endif
#ifndef FAULT_WRITE_SCHEMA
#define FAULT_WRITE_SCHEMA write_schema
#endif
#ifndef FAULT_NORMALIZE
#define FAULT_NORMALIZE normalize
#endif
#ifndef FAULT_CHECK_CONFIG
#define FAULT_CHECK_CONFIG check_config
#endif
#ifndef FAULT_CREATE
#define FAULT_CREATE faulty_create
#endif
#ifndef FAULT_INIT
#define FAULT_INIT init
#endif
#ifndef FAULT_DEINIT
#define FAULT_DEINIT deinit
#endif
#ifndef FAULT_GET_FACTORY
#define FAULT_GET_FACTORY faulty_get_factory
#endif
#ifndef FAULT_MAGIC
#define FAULT_MAGIC PRECIS_ENTRY_MAGIC
#endif
#ifndef FAULT_SIZE
#define FAULT_SIZE sizeof(precis_plugin_entry)
#endif
#ifndef FAULT_MIN_HOST_MINOR
#define FAULT_MIN_HOST_MINOR 0
#endif

static const precis_quantize_v1 kFaultyQuantize = {FAULT_PLAN, FAULT_QUANTIZE, FAULT_DEQUANTIZE};
static const precis_loading_v1 kFaultyLoading = {
    precis_any_environment, precis_same_compute_dtype, FAULT_DEVICE_MAP,       precis_same_budgets,
    FAULT_STORAGE,          FAULT_REWRITE_KEYS,        FAULT_QUANTIZED_PARAMS, FAULT_CHECK};
static const precis_linear_v1 kFaultyLinear = {FAULT_PLAN_PRODUCT, FAULT_PREPARE, FAULT_FORWARD,
                                               FAULT_UNPACK, destroy_product};
static const precis_serialize_v1 kFaultySerialize = {FAULT_CONFIG, FAULT_METADATA,
                                                     FAULT_SIDECAR_FILES};
static const precis_calibration_v1 kFaultyCalibration = {FAULT_PLAN_STATE, FAULT_OBSERVE,
                                                         FAULT_FINISH};
static const precis_grid_v1 kFaultyGrid = {FAULT_PLAN_GRID, FAULT_READ_GRID, FAULT_WRITE_GRID};

static const void* faulty_extension(const precis_quantizer* quantizer, const char* id) {
  (void)quantizer;
  if (strcmp(id, PRECIS_QUANTIZE_1) == 0) return &kFaultyQuantize;
  if (strcmp(id, PRECIS_LOADING_1) == 0) return &kFaultyLoading;
  if (strcmp(id, PRECIS_LINEAR_1) == 0) return &kFaultyLinear;
  if (strcmp(id, PRECIS_CALIBRATION_1) == 0) return &kFaultyCalibration;
  if (strcmp(id, PRECIS_GRID_1) == 0) return &kFaultyGrid;
  return strcmp(id, PRECIS_SERIALIZE_1) == 0 ? &kFaultySerialize : NULL;
}

static const char* const kFaultyTables[] = {PRECIS_QUANTIZE_1,
                                            PRECIS_LOADING_1,
                                            PRECIS_LINEAR_1,
                                            PRECIS_SERIALIZE_1,
                                            PRECIS_CALIBRATION_1,
                                            PRECIS_GRID_1,
                                            NULL};
static const precis_method kFaultyMethod = {
    sizeof(precis_method), PRECIS_METHOD_SERIALIZABLE, "my_method",
    "my_method",           PRECIS_PLUGIN_VERSION,      FAULT_CONTAINER,
    FAULT_DEVICES,         FAULT_DEVICE_COUNT,         0,
    kFaultyTables};
static const precis_method* faulty_method(uint32_t index) {
  return index == 0 ? &kFaultyMethod : NULL;
}
static precis_quantizer faulty_quantizer = {&kFaultyMethod, NULL, destroy, FAULT_GET_EXTENSION};

static precis_status faulty_create(const precis_call* call, uint32_t index,
                                   const precis_config* config, precis_quantizer** out) {
  const precis_status status = FAULT_CHECK_CONFIG(call, index, config);
  if (status == PRECIS_OK) *out = &faulty_quantizer;
  return status;
}

static const precis_quantizer_factory_v1 kFaultyFactory = {count, FAULT_METHOD, FAULT_WRITE_SCHEMA,
                                                           FAULT_NORMALIZE, FAULT_CREATE};
static const void* faulty_get_factory(const char* id) {
  return strcmp(id, PRECIS_QUANTIZER_FACTORY_1) == 0 ? &kFaultyFactory : NULL;
}

PRECIS_EXPORT extern const precis_plugin_entry precis_plugin_entry_v1;
const precis_plugin_entry precis_plugin_entry_v1 = {
    FAULT_MAGIC, FAULT_SIZE, PRECIS_ABI_MAJOR, PRECIS_ABI_MINOR, FAULT_MIN_HOST_MINOR,
    0,           FAULT_INIT, FAULT_DEINIT,     FAULT_GET_FACTORY};

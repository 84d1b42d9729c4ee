/* A plugin in plain C whose entry can be made wrong, for the loader's tests. */
#include <precis/precis.h>
#include <string.h>

#ifndef FAKE_MAGIC
#define FAKE_MAGIC PRECIS_ENTRY_MAGIC
#endif
#ifndef FAKE_SIZE
#define FAKE_SIZE sizeof(precis_plugin_entry)
#endif
#ifndef FAKE_MAJOR
#define FAKE_MAJOR PRECIS_ABI_MAJOR
#endif
#ifndef FAKE_MINOR
#define FAKE_MINOR PRECIS_ABI_MINOR
#endif
#ifndef FAKE_FLAGS
#define FAKE_FLAGS 0
#endif
#ifndef FAKE_COUNT
#define FAKE_COUNT 1
#endif
#ifndef FAKE_FACTORY
#define FAKE_FACTORY PRECIS_QUANTIZER_FACTORY_1
#endif
#ifndef FAKE_MIN_HOST_MINOR
#define FAKE_MIN_HOST_MINOR 0
#endif
#ifndef FAKE_INIT_STATUS
#define FAKE_INIT_STATUS PRECIS_OK
#endif
#ifndef FAKE_NULL_NORMALIZE
#define FAKE_NULL_NORMALIZE 0
#endif
#ifndef FAKE_NULL_INIT
#define FAKE_NULL_INIT 0
#endif

static const char* const kNoTables[] = {NULL};
static const precis_method kMethod = {sizeof(precis_method), FAKE_FLAGS, "fake", "fake", "1.0",
                                      "safetensors",         NULL,       0,      0,      kNoTables};

static uint32_t count(void) {
  return FAKE_COUNT;
}
static const precis_method* method(uint32_t index) {
  return index == 0 ? &kMethod : NULL;
}
static precis_status write_schema(const precis_call* call, uint32_t index, precis_str library,
                                  const precis_sink* out) {
  (void)call, (void)index, (void)library;
  out->write(out->ctx, "{}", 2);
  return PRECIS_OK;
}
static precis_status normalize(const precis_call* call, uint32_t index, const precis_config* config,
                               const precis_sink* out) {
  (void)call, (void)index;
  out->write(out->ctx, config->json.data, config->json.size);
  return PRECIS_OK;
}
static precis_status create(const precis_call* call, uint32_t index, const precis_config* config,
                            precis_quantizer** out) {
  (void)index, (void)config, (void)out;
  const char* text = "the fake plugin makes nothing";
  const precis_str message = {text, strlen(text)};
  if (call->fail != NULL) call->fail(call, PRECIS_UNSUPPORTED, message);
  return PRECIS_UNSUPPORTED;
}
static const precis_quantizer_factory_v1 kFactory = {
    count, method, write_schema, FAKE_NULL_NORMALIZE ? NULL : normalize, create};

static precis_status init(const precis_host* host, uint32_t agreed_minor, const precis_sink* why) {
  (void)host, (void)agreed_minor;
  if (FAKE_INIT_STATUS != PRECIS_OK) why->write(why->ctx, "no licence", 10);
  return FAKE_INIT_STATUS;
}
static void deinit(void) {}
static const void* get_factory(const char* id) {
  return strcmp(id, FAKE_FACTORY) == 0 ? &kFactory : NULL;
}

PRECIS_EXPORT extern const precis_plugin_entry precis_plugin_entry_v1;
const precis_plugin_entry precis_plugin_entry_v1 = {FAKE_MAGIC,
                                                    FAKE_SIZE,
                                                    FAKE_MAJOR,
                                                    FAKE_MINOR,
                                                    FAKE_MIN_HOST_MINOR,
                                                    FAKE_FLAGS,
                                                    FAKE_NULL_INIT ? NULL : init,
                                                    deinit,
                                                    get_factory};

#ifdef FAKE_UNRESOLVED
extern int a_symbol_that_nobody_defines(void);
PRECIS_EXPORT int use_it(void);
int use_it(void) {
  return a_symbol_that_nobody_defines();
}
#endif

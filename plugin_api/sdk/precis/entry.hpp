// The factory and the entry over sdk::methods(). Included by plugin.hpp; authors need not read it.
#ifndef PRECIS_SDK_ENTRY_HPP
#define PRECIS_SDK_ENTRY_HPP

#include <cstring>

#include "tables.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

namespace tables {

inline bool lists(const precis_quantizer* quantizer, const char* id) {
  for (const char* const* listed = quantizer->method->extensions; *listed != nullptr; ++listed) {
    if (std::strcmp(*listed, id) == 0) return true;
  }
  return false;
}

inline const void* get_extension(const precis_quantizer* quantizer, const char* id) {
  if (std::strcmp(id, PRECIS_QUANTIZE_1) == 0) return &quantize_table();
  if (std::strcmp(id, PRECIS_LOADING_1) == 0) return &loading_table();
  if (std::strcmp(id, PRECIS_SERIALIZE_1) == 0) return &serialize_table();
  if (!lists(quantizer, id)) return nullptr;
  if (std::strcmp(id, PRECIS_LINEAR_1) == 0) return &linear_table();
  if (std::strcmp(id, PRECIS_CALIBRATION_1) == 0) return &calibration_table();
  if (std::strcmp(id, PRECIS_GRID_1) == 0) return &grid_table();
  return nullptr;
}

inline void destroy(precis_quantizer* quantizer) {
  delete static_cast<Quantizer*>(quantizer->impl);
  delete quantizer;
}

inline const Method& method_at(uint32_t index) {
  if (index >= methods().size()) throw PluginError(PRECIS_NOT_FOUND, "no method of this index");
  return methods()[index];
}

inline const precis_quantizer_factory_v1& factory_table() {
  static const precis_quantizer_factory_v1 table{
      []() -> uint32_t { return static_cast<uint32_t>(methods().size()); },
      [](uint32_t index) -> const precis_method* {
        return index < methods().size() ? &methods()[index].abi : nullptr;
      },
      [](const precis_call* call, uint32_t index, precis_str library, const precis_sink* out) {
        return guarded(call, [&] { write(out, method_at(index).schema(view(library))); });
      },
      [](const precis_call* call, uint32_t index, const precis_config* config,
         const precis_sink* out) {
        return guarded(call, [&] { write(out, method_at(index).normalize(*config)); });
      },
      [](const precis_call* call, uint32_t index, const precis_config* config,
         precis_quantizer** out) {
        return guarded(call, [&] {
          std::unique_ptr<Quantizer> made = method_at(index).create(*config);
          *out = new precis_quantizer{&method_at(index).abi, made.get(), destroy, get_extension};
          made.release();
        });
      }};
  return table;
}

inline precis_status init(const precis_host* host, uint32_t, const precis_sink*) {
  Host::get().attach(host);
  return PRECIS_OK;
}
inline void deinit() {}
inline const void* get_factory(const char* id) {
  return std::strcmp(id, PRECIS_QUANTIZER_FACTORY_1) == 0 ? &factory_table() : nullptr;
}

}  // namespace tables

PRECIS_SDK_NAMESPACE_END

// Defines the one exported symbol. Use once, at namespace scope, in one source file.
#define PRECIS_PLUGIN()                                                                  \
  extern "C" {                                                                           \
  PRECIS_EXPORT extern const precis_plugin_entry precis_plugin_entry_v1;                 \
  const precis_plugin_entry precis_plugin_entry_v1 = {PRECIS_ENTRY_MAGIC,                \
                                                      sizeof(precis_plugin_entry),       \
                                                      PRECIS_ABI_MAJOR,                  \
                                                      PRECIS_ABI_MINOR,                  \
                                                      0,                                 \
                                                      0,                                 \
                                                      precis::sdk::tables::init,         \
                                                      precis::sdk::tables::deinit,       \
                                                      precis::sdk::tables::get_factory}; \
  }

#endif

#include "plugins/vptq/config.h"

namespace precis::vptq {

using sdk::Json;
using sdk::OptionType;
using sdk::PluginError;

namespace {

constexpr const char *kSkipKey = "modules_to_not_convert", *kLayers = "config_for_layers",
                     *kShared = "shared_layer_config";
// Of weights that precis writes; VptqConfig has no such options, and says all by module.
constexpr const char *kVector = "vector_len", *kCentroids = "num_centroids",
                     *kResidual = "num_res_centroids";

int64_t whole(const Json& value, const std::string& key) {
  if (!value.is_number_integer())
    throw PluginError(PRECIS_INVALID_TYPE,
                      "'" + key + "' is " + value.dump() + ", it must be a whole number");
  return value.get<int64_t>();
}

// Number `index` of a pair: the outliers', the others'.
int64_t of_pair(const Json& entry, const char* key, std::size_t index) {
  const auto found = entry.find(key);
  if (found == entry.end()) return -1;
  if (!found->is_array() || found->size() != 2)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "'" + std::string(key) + "' is " + found->dump() +
                                                   ", it must be two whole numbers");
  return whole((*found)[index], key);
}

Layer read_layer(const Json& entry) {
  const auto number = [&](const char* key, int64_t fallback) {
    return entry.contains(key) ? whole(entry[key], key) : fallback;
  };
  Layer layer;
  layer.in_features = number("in_features", -1);
  layer.out_features = number("out_features", -1);
  layer.outlier_vector = of_pair(entry, "vector_lens", 0);
  layer.vector = of_pair(entry, "vector_lens", 1);
  layer.outlier_centroids = of_pair(entry, "num_centroids", 0);
  layer.centroids = of_pair(entry, "num_centroids", 1);
  layer.residual = of_pair(entry, "num_res_centroids", 1);
  layer.outliers = layer.has_outliers() ? number("outlier_size", 0) : 0;
  layer.groups = number("group_num", 1);
  layer.group_size = number("group_size", -1);
  layer.norm = sdk::truthy(entry.value("enable_norm", Json(true)));
  layer.perm = sdk::truthy(entry.value("enable_perm", Json(true)));
  return layer;
}

void check_layers(const Json& layers) {
  if (!layers.is_object())
    throw PluginError(PRECIS_INVALID_ARGUMENT, "'" + std::string(kLayers) + "' is " +
                                                   layers.dump() +
                                                   ", it must be an object: module to options");
  for (const auto& [module, entry] : layers.items()) {
    const std::string where = "'" + std::string(kLayers) + "." + module + "'";
    if (!entry.is_object())
      throw PluginError(PRECIS_INVALID_TYPE,
                        where + " is " + entry.dump() + ", it must be an object");
    if (entry.value("is_indice_packed", Json(true)) == Json(false))
      throw PluginError(PRECIS_INVALID_ARGUMENT,
                        where + ": 'is_indice_packed' is false, only packed indices are read");
  }
}

}  // namespace

std::optional<Layer> Config::layer(const std::string& module) const {
  const auto entry = [](const Json& from, const std::string& key) -> const Json* {
    if (!from.is_object()) return nullptr;
    const auto found = from.find(key);
    return found == from.end() || !found->is_object() || found->empty() ? nullptr : &*found;
  };
  if (const Json* own = entry(layers, module)) return read_layer(*own);
  // vptq shares by the last segment of a path, transformers 5 by the second.
  if (const Json* own = entry(shared, std::string(sdk::leaf(module)))) return read_layer(*own);
  const std::size_t first = module.find('.');
  if (first == std::string::npos) return std::nullopt;
  const std::size_t second = module.find('.', first + 1);
  if (const Json* own = entry(shared, module.substr(first + 1, second - first - 1)))
    return read_layer(*own);
  return std::nullopt;
}

const sdk::OptionTable& options(std::string_view) {
  static const sdk::OptionTable table(
      "vptq",
      {{"enable_proxy_error", OptionType::any, true, false, "for training; never true", {}},
       {kLayers, OptionType::any, true, Json::object(), "options of each module", {}},
       {kShared,
        OptionType::any,
        true,
        Json::object(),
        "options of modules without an entry, by the last segment of their path",
        {}},
       {kSkipKey, OptionType::any, true, nullptr, "modules left as they are", {}},
       {kVector, OptionType::integer, false, 8, "weights of a vector, where precis quantizes", {}},
       {kCentroids, OptionType::integer, false, 256, "centroids, a power of two", {}},
       {kResidual,
        OptionType::integer,
        false,
        256,
        "centroids of the second codebook, a power of two; -1: there is none",
        {}}});
  return table;
}

Config read_config(const precis_config& request) {
  Json values =
      options("").read(sdk::parse_config(request), {"quant_method"}, sdk::lenient(request));
  Config config;
  config.written.vector = whole(values[kVector], kVector);
  config.written.centroids = whole(values[kCentroids], kCentroids);
  config.written.residual = whole(values[kResidual], kResidual);
  config.written.perm = false;
  for (const char* own : {kVector, kCentroids, kResidual}) values.erase(own);
  check_layers(values[kLayers]);
  if (values["enable_proxy_error"] == Json(true))
    throw PluginError(PRECIS_INVALID_ARGUMENT, "'enable_proxy_error' must be false");
  config.layers = values[kLayers];
  config.shared = values[kShared];
  config.skip = {kSkipKey, sdk::module_list(values[kSkipKey]), sdk::kept_by_pattern};
  values["quant_method"] = "vptq";
  config.normalized = std::move(values);
  return config;
}

Json entry_of(const Layer& layer) {
  return {{"in_features", layer.in_features},
          {"out_features", layer.out_features},
          {"vector_lens", {layer.outlier_vector, layer.vector}},
          {"num_centroids", {layer.outlier_centroids, layer.centroids}},
          {"num_res_centroids", {-1, layer.residual}},
          {"group_num", layer.groups},
          {"group_size", layer.group_size},
          {"outlier_size", layer.outliers},
          {"indices_as_float", false},
          {"enable_norm", layer.norm},
          {"enable_perm", layer.perm},
          {"is_indice_packed", true}};
}

}  // namespace precis::vptq

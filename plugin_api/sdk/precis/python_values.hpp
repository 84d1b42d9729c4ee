// Values of a config as Python and PyTorch take them.
#ifndef PRECIS_SDK_PYTHON_VALUES_HPP
#define PRECIS_SDK_PYTHON_VALUES_HPP

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "error.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

using Json = nlohmann::json;

// PyTorch's dtypes by name; aliases give the full name ("half": "float16"). Empty: no dtype.
inline std::string torch_dtype(std::string_view name) {
  static const char* const kNames[] = {"float32",
                                       "float64",
                                       "float16",
                                       "bfloat16",
                                       "uint8",
                                       "int8",
                                       "int16",
                                       "int32",
                                       "int64",
                                       "bool",
                                       "complex64",
                                       "complex128",
                                       "uint16",
                                       "uint32",
                                       "uint64",
                                       "float8_e4m3fn",
                                       "float8_e5m2",
                                       "float8_e4m3fnuz",
                                       "float8_e5m2fnuz",
                                       "float8_e8m0fnu",
                                       "float4_e2m1fn_x2",
                                       "qint8",
                                       "quint8",
                                       "qint32",
                                       "complex32"};
  static const std::pair<const char*, const char*> kAliases[] = {
      {"float", "float32"},    {"double", "float64"},     {"half", "float16"},
      {"short", "int16"},      {"int", "int32"},          {"long", "int64"},
      {"cfloat", "complex64"}, {"cdouble", "complex128"}, {"chalf", "complex32"}};
  if (name.substr(0, 6) == "torch.") name.remove_prefix(6);
  for (const char* known : kNames) {
    if (name == known) return known;
  }
  for (const auto& [alias, known] : kAliases) {
    if (name == alias) return known;
  }
  return "";
}

// Python's truth of a JSON value.
inline bool truthy(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return false;
    case Json::value_t::boolean:
      return value.get<bool>();
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return value != 0;
    case Json::value_t::number_float:
      return value.get<double>() != 0;
    default:
      return !value.empty() && !(value.is_string() && value.get_ref<const std::string&>().empty());
  }
}

PRECIS_SDK_NAMESPACE_END

#endif

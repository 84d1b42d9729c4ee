// What the tests of a method's plugin need to be told. The tests themselves, golden_test.cpp,
// config_test.cpp and product_test.cpp, are the same for all: plugins/ID/ID_test.cpp defines
// method_under_test().
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/abi/quantizer.h"
#include "registry/config/registry_resolver.h"
#include "tests/method/product.h"

namespace precis {

using Bytes = std::span<const std::byte>;

// A folder of plugins/ID/golden, or else of tests/oracle/golden.
struct GoldenFolder {
  std::string folder;

  // The quantization_config of precis for the options that the library was given ("config" in the
  // files' metadata).
  std::function<nlohmann::json(const nlohmann::json& options)> config;

  // Forms that the method reads and does not write: the file's tensors, in the order that
  // dequantize expects. Absent or nothing: it writes them.
  std::function<std::optional<std::vector<PartSpec>>(const nlohmann::json& options,
                                                     const Param& param)>
      read_only = {};

  // Compares an encoded part with the library's, in place of same_numbers.
  std::function<void(const PartSpec& part, Bytes got, Bytes want)> same_part = {};

  // The library's tensors are not those of input.weight: they are decoded alone.
  bool decodes_only = false;

  // The library fits these weights step by step in float32, in an order of sums that depends on the
  // machine: the mean error of the result is compared in place of the bytes.
  std::function<bool(const nlohmann::json& options)> fitted = [](const nlohmann::json&) {
    return false;
  };

  // The library shows these tensors as bytes: their dtypes and shapes differ from the plan's.
  bool opaque_parts = false;

  // Forms that are decoded only, for a method that has products with others.
  std::function<bool(const nlohmann::json& options)> without_product = [](const nlohmann::json&) {
    return false;
  };

  // How products with these weights treat activations.
  std::function<Sums(const nlohmann::json& options)> sums = [](const nlohmann::json&) {
    return Sums::floats;
  };

  // The library's own product rounds activations: each is off by at most this part of the largest
  // of its row. 0: it takes them as they are.
  std::function<double(const nlohmann::json& options)> activation_error =
      [](const nlohmann::json&) { return 0.0; };

  // Relative error of one addition in the library's own product; float32's, where it adds as it
  // should.
  std::function<double(const nlohmann::json& options, DType activation)> sums_roundoff =
      [](const nlohmann::json&, DType) { return 0x1p-24; };
};

// A method whose handling of lists of modules not to convert the libraries' answers are known of.
struct SkipList {
  std::string method;     // "method" of the recorded cases
  nlohmann::json config;  // a config without the list
  std::string key;        // of the list
  // The library's loader adds modules of its own to the list; false: the list alone counts.
  bool loader_adds = true;
  // Whether answers for lists and paths were recorded, beside those for real architectures.
  bool has_paths = true;
};

struct MethodUnderTest {
  std::string plugin;
  std::vector<GoldenFolder> golden;
  std::vector<SkipList> skip_lists = {};
  std::vector<ProductCase> products = {};  // empty: the method has none, or
  bool reads_products = false;             // has some with weights that it does not write
  std::size_t least_configs = 0;           // recorded config dicts that must agree, at least

  // Why precis answers a recorded dict otherwise on purpose; empty: it does not.
  std::function<std::string(const nlohmann::json& config)> on_purpose = {};
};

const MethodUnderTest& method_under_test();

// The plugins of this build.
RegistryResolver& test_resolver(bool lenient);
// Lenient, by the rules of diffusers 0.33 or transformers 4.48.
RegistryResolver& test_resolver_of_2025(const std::string& library);

// Bit for bit, but for the payloads of NaNs and, in scales, the sign of zero.
void same_numbers(const PartSpec& part, Bytes got, Bytes want);

// The numbers of a floating or float8 dtype.
std::vector<float> as_floats(DType dtype, Bytes bytes);

}  // namespace precis

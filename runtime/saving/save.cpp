#include "runtime/saving/save.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <span>

#include "core/base/output_file.h"
#include "core/format/layout.h"
#include "runtime/modules/module_tree.h"
#include "runtime/modules/quantized_linear.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis {
namespace {

// quanto's name of a dtype of its stored weights or activations; empty: it has none.
std::string qtype_name(DType dtype) {
  if (dtype == DType::i8) return "qint8";
  if (dtype == DType::f8_e4m3fn) return "qfloat8_e4m3fn";
  if (dtype == DType::f8_e5m2) return "qfloat8_e5m2";
  return {};
}

// Packed weights tell their width by the bytes they take: 4 or 2 bits a number.
std::string qtype_name(const QuantizedWeight& weight) {
  for (const PartSpec& part : weight.specs) {
    if (part.name == "weight._data") return qtype_name(part.dtype);
    if (part.name == "weight._data._data")
      return part.nbytes * 2 >= weight.param.elements() ? "qint4" : "qint2";
  }
  return {};
}

}  // namespace

Status save_state_dict(const torch::nn::Module& root, const std::filesystem::path& file) {
  std::vector<PlannedTensor> planned;
  std::vector<at::Tensor> tensors;
  const auto add = [&](const std::string& name, const at::Tensor& tensor) -> Status {
    PRECIS_ASSIGN(const DType dtype, dtype_of(tensor.scalar_type()));
    tensors.push_back(tensor.detach().contiguous());
    planned.push_back({name, dtype, "", tensor.sizes().vec(), tensor.nbytes()});
    return {};
  };
  for (const auto& item : root.named_parameters()) PRECIS_TRY(add(item.key(), item.value()));
  for (const auto& item : root.named_buffers()) PRECIS_TRY(add(item.key(), item.value()));
  PRECIS_ASSIGN(const FileLayout layout, plan_safetensors(planned, {{"format", "pt"}}));
  std::filesystem::path partial = file;
  partial += ".partial";
  {
    PRECIS_ASSIGN(const OutputFile out, OutputFile::open(partial, layout.file_size));
    PRECIS_TRY(out.write_at(0, std::as_bytes(std::span(layout.header))));
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      PRECIS_TRY(out.write_at(layout.offsets[i], bytes_of(tensors[i])));
    }
  }
  std::error_code error;
  std::filesystem::rename(partial, file, error);
  if (!error) return {};
  return Error(ErrorCode::io, fmt::format("{}: {}", file.string(), error.message()));
}

nlohmann::ordered_json quantization_map(torch::nn::Module& root) {
  nlohmann::ordered_json map = nlohmann::ordered_json::object();
  for (const ModuleSite& site : module_sites(root)) {
    const auto module = site.module();
    const auto* layer = module->as<QuantizedLayer>();
    if (layer == nullptr) continue;
    const std::string weights = qtype_name(layer->weight());
    if (weights.empty()) continue;
    const auto* linear = module->as<QuantizedLinear>();
    const bool rounds = linear != nullptr && linear->rounding();
    map[site.path] = {{"weights", weights},
                      {"activations", rounds ? qtype_name(linear->rounding()->dtype) : "none"}};
  }
  return map;
}

}  // namespace precis

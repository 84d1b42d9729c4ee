#include "core/engine/plan.h"

namespace precis {

std::string_view action_name(Action action) {
  switch (action) {
    case Action::keep:
      return "keep";
    case Action::cast:
      return "cast";
    case Action::quantize:
      return "quantize";
    case Action::dequantize:
      return "dequantize";
  }
  return "keep";
}

uint64_t TensorPlan::output_bytes() const {
  uint64_t bytes = 0;
  for (const OutputTensor& output : outputs) bytes += output.planned.nbytes;
  return bytes;
}

namespace {

using nlohmann::ordered_json;

ordered_json output_json(const OutputTensor& output) {
  ordered_json json{{"name", output.planned.name},
                    {"dtype", dtype_name(output.planned.dtype)},
                    {"shape", output.planned.shape},
                    {"bytes", output.planned.nbytes}};
  if (!output.planned.encoding.empty()) json["encoding"] = output.planned.encoding;
  return json;
}

ordered_json tensor_json(const ComponentPlan& component, const TensorPlan& tensor) {
  ordered_json outputs = ordered_json::array();
  for (const OutputTensor& output : tensor.outputs) outputs.push_back(output_json(output));
  ordered_json method;
  if (tensor.quantizer)
    method = tensor.quantizer->spec();
  else if (tensor.source.quantizer)
    method = tensor.source.quantizer->spec();
  return {{"component", component.name},
          {"name", tensor.source.param.name},
          {"action", action_name(tensor.action)},
          {"method", method},
          {"reason", tensor.reason},
          {"dtype", dtype_name(tensor.source.param.dtype)},
          {"shape", tensor.source.param.shape},
          {"source_bytes", tensor.source.stored_bytes()},
          {"outputs", std::move(outputs)}};
}

ordered_json component_json(const ComponentPlan& component) {
  uint64_t quantized = 0;
  for (const TensorPlan& tensor : component.tensors) {
    quantized += tensor.action == Action::quantize ? 1 : 0;
  }
  ordered_json files = ordered_json::array();
  for (const OutputFilePlan& file : component.files) {
    files.push_back({{"path", file.path.string()}, {"bytes", file.layout.file_size}});
  }
  return {{"name", component.name},
          {"library", component.library},
          {"family", component.family},
          {"method", component.method},
          {"tensors", component.tensors.size()},
          {"quantized", quantized},
          {"carried", component.carried},
          {"source_bytes", component.source_bytes},
          {"output_bytes", component.output_bytes},
          {"files", std::move(files)}};
}

}  // namespace

ordered_json Plan::to_json(bool with_tensors) const {
  ordered_json component_list = ordered_json::array();
  ordered_json tensor_list = ordered_json::array();
  for (const ComponentPlan& component : components) {
    component_list.push_back(component_json(component));
    if (!with_tensors) continue;
    for (const TensorPlan& tensor : component.tensors) {
      tensor_list.push_back(tensor_json(component, tensor));
    }
  }
  ordered_json json{{"source", source.string()},
                    {"total",
                     {{"source_bytes", source_bytes},
                      {"output_bytes", output_bytes},
                      {"weight_bytes", weight_bytes}}},
                    {"peak_memory_bytes", peak_memory_bytes},
                    {"max_memory_bytes", max_memory},
                    {"threads", threads},
                    {"fingerprint", fingerprint},
                    {"warnings", warnings},
                    {"components", std::move(component_list)}};
  if (with_tensors) json["tensors"] = std::move(tensor_list);
  return json;
}

}  // namespace precis

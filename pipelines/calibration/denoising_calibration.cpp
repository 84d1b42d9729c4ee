#include "pipelines/calibration/denoising_calibration.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "core/base/sha256.h"
#include "models/denoising_network.h"
#include "pipelines/networks.h"
#include "runtime/tensor/tensor_adapter.h"

namespace precis::pipelines {
namespace {

namespace fs = std::filesystem;

// Thrown by the recorder, out of the pipeline, when the rest of the image is of no use.
struct RecordedEnough {};

// One image's calls of the transformer, of which some are kept.
class Recorder {
 public:
  Recorder(std::vector<int64_t> steps, const std::atomic<bool>* cancel)
      : steps_(std::move(steps)), cancel_(cancel) {}

  void operator()(const Activations& inputs) {
    if (cancelled()) throw RecordedEnough();
    if (step_++ != steps_[calls_.size()]) return;
    calls_.push_back(inputs);
    if (calls_.size() == steps_.size()) throw RecordedEnough();
  }
  bool cancelled() const { return cancel_ != nullptr && cancel_->load(); }
  const std::vector<Activations>& calls() const { return calls_; }

 private:
  std::vector<int64_t> steps_;  // ascending, at least one
  const std::atomic<bool>* cancel_;
  int64_t step_ = 0;
  std::vector<Activations> calls_;
};

// Tensors that several calls share, such as the text's, are stored once.
Result<std::shared_ptr<const Container>> store_calls(const std::vector<Activations>& calls,
                                                     const EncodedStore& store, std::size_t index) {
  std::vector<at::Tensor> seen, contiguous;
  std::vector<EncodedTensor> tensors;
  std::vector<std::vector<std::size_t>> numbers;
  for (const Activations& call : calls) {
    numbers.emplace_back();
    for (const at::Tensor& tensor : call) {
      const auto known = std::find_if(seen.begin(), seen.end(),
                                      [&](const at::Tensor& one) { return one.is_same(tensor); });
      numbers.back().push_back(static_cast<std::size_t>(known - seen.begin()));
      if (known != seen.end()) continue;
      contiguous.push_back(tensor.contiguous());
      PRECIS_ASSIGN(const DType dtype, dtype_of(tensor.scalar_type()));
      const auto bytes = bytes_of(contiguous.back());
      tensors.push_back(
          {{std::to_string(seen.size()), dtype, "", tensor.sizes().vec(), bytes.size()}, bytes});
      seen.push_back(tensor);
    }
  }
  return store.add(index, tensors, {{"calls", numbers}});
}

// The stored tensors stay in the file.
Result<std::vector<Activations>> read_calls(const Container& file) {
  std::vector<Activations> calls;
  const auto facts = EncodedStore::facts(file);
  for (const auto& numbers : facts.value("calls", std::vector<std::vector<std::size_t>>{})) {
    Activations& call = calls.emplace_back();
    for (const std::size_t number : numbers) {
      const TensorEntry* entry = file.find(std::to_string(number));
      if (entry == nullptr) {
        return Error(ErrorCode::data_loss,
                     fmt::format("{}: input {} is missing", file.path().string(), number));
      }
      PRECIS_ASSIGN(const auto bytes, file.data(*entry));
      PRECIS_ASSIGN(at::Tensor tensor,
                    tensor_over({const_cast<std::byte*>(bytes.data()), bytes.size()}, entry->dtype,
                                entry->shape));
      call.push_back(std::move(tensor));
    }
  }
  return calls;
}

LoadOptions load_options(const std::string& variant) {
  LoadOptions load;
  load.variant = variant;
  return load;
}

std::size_t prompt_count(const DenoisingCalibration& calibration) {
  return std::min(calibration.prompts.samples, calibration.prompts.texts.size());
}

// Runs the pipeline for the prompts that `inputs` has nothing of yet.
class Recording {
 public:
  Recording(const DenoisingCalibration& calibration, const EncodedStore& inputs,
            models::DenoisingNetwork& network, const std::atomic<bool>* cancel)
      : calibration_(calibration), inputs_(inputs), network_(network), cancel_(cancel) {}

  Result<std::shared_ptr<const Container>> record(Pipeline& pipeline, std::size_t index) {
    GenerateOptions generate = calibration_.generate;
    generate.prompt = calibration_.prompts.texts[index];
    generate.seed += index;
    Recorder recorder(recorded_steps(generate.steps, calibration_.recorded_steps, index), cancel_);
    network_.observe(std::ref(recorder));
    Status status;
    try {
      auto image = pipeline.generate(generate);
      if (!image.ok()) status = std::move(image).error();
    } catch (const RecordedEnough&) {
    }
    network_.observe({});
    PRECIS_TRY(std::move(status));
    if (recorder.cancelled()) return Error(ErrorCode::cancelled, "interrupted");
    const c10::InferenceMode inference;
    return store_calls(recorder.calls(), inputs_, index);
  }

 private:
  const DenoisingCalibration& calibration_;
  const EncodedStore& inputs_;
  models::DenoisingNetwork& network_;
  const std::atomic<bool>* cancel_;
};

}  // namespace

std::string DenoisingCalibration::fingerprint() const {
  Sha256 hash;
  hash.update(fmt::format("{}|{}|{}|{}|{}|{}|{}|{}|{}", prompts.fingerprint(),
                          generate.negative_prompt, generate.steps,
                          generate.guidance_scale.value_or(-1), generate.height, generate.width,
                          generate.seed, generate.max_sequence_length, recorded_steps));
  return to_hex(hash.finish());
}

std::vector<int64_t> recorded_steps(int64_t steps, int64_t count, std::size_t index) {
  // Multiples of the golden ratio leave no gaps, however many images there are.
  const double shift = std::fmod(static_cast<double>(index) * 0.6180339887498949, 1.0);
  count = std::clamp<int64_t>(count, 1, steps);
  std::vector<int64_t> result;
  for (int64_t i = 0; i < count; ++i) {
    const double position = (static_cast<double>(i) + shift) / static_cast<double>(count);
    result.push_back(static_cast<int64_t>(position * static_cast<double>(steps)));
  }
  return result;
}

Status check_denoising(const fs::path& directory, const std::string& variant,
                       const DenoisingCalibration& calibration, MethodResolver& methods) {
  return Pipeline::check(directory, load_options(variant), calibration.generate, methods);
}

Result<NetworkCalibration> record_denoising(
    const fs::path& directory, const std::string& component, const std::string& variant,
    const DenoisingCalibration& calibration, const EncodedStore& inputs, MethodResolver& methods,
    const std::function<void(std::size_t, std::size_t)>& progress,
    const std::atomic<bool>* cancel) {
  LoadOptions load = load_options(variant);
  PRECIS_ASSIGN(auto loaded, load_network(directory / component, load, methods));
  auto* const network = dynamic_cast<models::DenoisingNetwork*>(loaded.network.get());
  if (network == nullptr) {
    return Error(ErrorCode::unsupported, fmt::format("{}: a {} does not denoise",
                                                     directory.string(), loaded.report.class_name));
  }
  NetworkCalibration result;
  result.network = loaded.network;
  result.chain = network;
  load.components[component] = loaded.network;
  Recording recording(calibration, inputs, *network, cancel);
  std::unique_ptr<Pipeline> pipeline;
  for (; result.texts < prompt_count(calibration); ++result.texts) {
    auto file = inputs.find(result.texts);
    if (file == nullptr) {
      if (pipeline == nullptr) {
        PRECIS_ASSIGN(pipeline, Pipeline::from_pretrained(directory, load, methods));
      }
      PRECIS_ASSIGN(file, recording.record(*pipeline, result.texts));
    }
    const c10::InferenceMode inference;
    PRECIS_ASSIGN(const auto calls, read_calls(*file));
    result.samples.insert(result.samples.end(), calls.begin(), calls.end());
    result.files.push_back(std::move(file));
    if (progress) progress(result.texts + 1, prompt_count(calibration));
  }
  return result;
}

}  // namespace precis::pipelines

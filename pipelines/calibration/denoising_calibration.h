// Calibrating a pipeline's transformer with what reaches it while the pipeline makes images.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>

#include "core/engine/method_resolver.h"
#include "pipelines/calibration/network_calibration.h"
#include "pipelines/calibration/text_calibration.h"
#include "pipelines/pipeline.h"

namespace precis::pipelines {

struct DenoisingCalibration {
  CalibrationTexts prompts;  // tokens are cut as the pipeline cuts them
  // The prompt is a text's, and the seed counts up from text to text.
  GenerateOptions generate;
  int64_t recorded_steps = 4;  // of the steps of every image

  // Of everything that the recorded inputs depend on.
  std::string fingerprint() const;
};

// The steps of image `index` whose inputs are recorded: evenly spread, and others from image to
// image, so that all are seen. Ascending.
std::vector<int64_t> recorded_steps(int64_t steps, int64_t count, std::size_t index);

// Whether the pipeline at `directory` can be run for this: the errors of Pipeline::check, before
// any weight is read.
Status check_denoising(const std::filesystem::path& directory, const std::string& variant,
                       const DenoisingCalibration& calibration, MethodResolver& methods);

// Loads the float pipeline, makes an image of every prompt as far as its last recorded step, and
// keeps the inputs of the transformer in files of `inputs`, one a prompt; those that an earlier run
// has left are not made again. Gives the transformer alone, held in float32. component: its name.
// progress: prompts done, prompts. Errors: those of Pipeline; cancelled; io.
Result<NetworkCalibration> record_denoising(
    const std::filesystem::path& directory, const std::string& component,
    const std::string& variant, const DenoisingCalibration& calibration, const EncodedStore& inputs,
    MethodResolver& methods, const std::function<void(std::size_t, std::size_t)>& progress,
    const std::atomic<bool>* cancel);

}  // namespace precis::pipelines

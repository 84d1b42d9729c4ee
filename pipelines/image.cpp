#include "pipelines/image.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <png.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "core/base/output_file.h"

namespace precis::pipelines {

Status write_png(const std::filesystem::path& path, const at::Tensor& image) {
  const auto bytes =
      (image * 255).round().clamp(0, 255).to(at::kByte).permute({1, 2, 0}).contiguous();
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.height = static_cast<png_uint_32>(bytes.size(0));
  header.width = static_cast<png_uint_32>(bytes.size(1));
  header.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(header);
  std::string encoded(size, '\0');
  if (png_image_write_to_memory(&header, encoded.data(), &size, 0, bytes.data_ptr(), 0, nullptr) ==
      0) {
    return Error(ErrorCode::internal, fmt::format("{}: {}", path.string(), header.message));
  }
  encoded.resize(size);
  return write_file_atomically(path, encoded);
}

double psnr(const at::Tensor& image, const at::Tensor& reference) {
  const double error =
      (image.to(at::kDouble) - reference.to(at::kDouble)).square().mean().item<double>();
  return error == 0 ? std::numeric_limits<double>::infinity() : -10 * std::log10(error);
}

double ssim(const at::Tensor& image, const at::Tensor& reference) {
  constexpr int64_t kWindow = 11;
  constexpr double kDeviation = 1.5, kC1 = 1e-4, kC2 = 9e-4;
  const auto distance = at::arange(kWindow, at::kDouble) - kWindow / 2;
  const auto gauss = at::exp(distance.square() / (-2 * kDeviation * kDeviation));
  const auto kernel = at::outer(gauss, gauss) / gauss.sum().square();
  const auto mean = [&](const at::Tensor& x) {
    return at::conv2d(x.unsqueeze(1), kernel.view({1, 1, kWindow, kWindow}));
  };
  const auto channels = [](const at::Tensor& x) { return x.to(at::kDouble).flatten(0, -3); };
  const auto x = channels(image), y = channels(reference);
  const auto mean_x = mean(x), mean_y = mean(y);
  const auto variance_x = mean(x * x) - mean_x * mean_x;
  const auto variance_y = mean(y * y) - mean_y * mean_y;
  const auto covariance = mean(x * y) - mean_x * mean_y;
  return ((2 * mean_x * mean_y + kC1) * (2 * covariance + kC2) /
          ((mean_x * mean_x + mean_y * mean_y + kC1) * (variance_x + variance_y + kC2)))
      .mean()
      .item<double>();
}

}  // namespace precis::pipelines

// The layers that one activation feeds, as a calibrated method in C++ sees them.
#ifndef PRECIS_SDK_CALIBRATION_HPP
#define PRECIS_SDK_CALIBRATION_HPP

#include <precis/precis.h>

#include <vector>

#include "error.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

using Parts = std::vector<precis_tensor*>;
using ConstParts = std::vector<const precis_tensor*>;

// precis_calibration_group in containers; in plan_calibration only `params` is filled.
struct CalibrationGroup {
  std::vector<const precis_param*> params;
  ConstParts weights;
  Parts state;
  std::vector<Parts> parts;         // of each param
  precis_tensor* scales = nullptr;  // null: the host cannot divide the activation
  double* errors = nullptr;         // one a param
};

inline CalibrationGroup read_group(const precis_calibration_group& abi) {
  CalibrationGroup group;
  group.params.assign(abi.params, abi.params + abi.count);
  if (abi.weights == nullptr) return group;
  group.weights.assign(abi.weights, abi.weights + abi.count);
  group.state.assign(abi.state, abi.state + abi.state_count);
  for (uint64_t i = 0; i < abi.count; ++i)
    group.parts.emplace_back(abi.parts[i], abi.parts[i] + abi.part_counts[i]);
  group.scales = abi.scales;
  group.errors = abi.errors;
  return group;
}

PRECIS_SDK_NAMESPACE_END

#endif

// Speeds of the kernels on a CUDA device, beside what the device can copy and multiply.
#pragma once

#include <string>
#include <vector>

#include "kernels/selftest/report.h"

namespace precis::kernels::device_cuda {

// "NVIDIA H100 80GB HBM3, sm_90". Throws std::runtime_error with the runtime's reason when there is
// no device.
std::string device_name();

std::vector<Speed> measure_speeds();

}  // namespace precis::kernels::device_cuda

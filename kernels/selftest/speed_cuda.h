// Speeds of the kernels on a CUDA device, beside what the device can copy and multiply.
#pragma once

#include <vector>

#include "kernels/selftest/report.h"

namespace precis::kernels::device_cuda {

std::vector<Speed> measure_speeds();

}  // namespace precis::kernels::device_cuda

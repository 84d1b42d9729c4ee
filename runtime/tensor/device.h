// Devices of torch tensors, as users name them and as the plugin ABI does.
#pragma once

#include <c10/core/Device.h>

#include <string>
#include <vector>

#include "core/abi/quantizer.h"
#include "core/base/result.h"

namespace precis {

// "cpu", "cuda" or "cuda:N"; devices of ROCm are called cuda too, as torch calls them. Error
// device_error, with what to do: it is no device, this LibTorch has no such
// devices, the machine has none, or not that many.
Result<at::Device> usable_device(const std::string& name);

// What usable_device() takes on this machine: "cpu", "cuda:0".
std::vector<std::string> usable_device_names();

// By DLPack's codes. Error unsupported: another device than CPU, CUDA and ROCm.
Result<precis_device> abi_device_of(const at::Device& device);

// The device, and the stream that torch's work on this thread goes to there. Errors: those of
// abi_device_of; unsupported where this LibTorch does not tell its streams.
Result<Place> place_of(const at::Device& device);

}  // namespace precis

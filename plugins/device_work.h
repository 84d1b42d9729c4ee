// A call on the tensors of a device: what device.cpp asks of them. Compiled with it once for each
// back end, with PRECIS_DEVICE defined as its namespace.
#pragma once

#include <string>

#include "kernels/device/host_runtime.h"
#include "kernels/device/stored_floats.h"
#include "plugins/device.h"
#include "plugins/parts.h"
#include "plugins/weight_type.h"

namespace precis::plugins::PRECIS_DEVICE {

namespace device = kernels::PRECIS_DEVICE;

// What a kernel's launcher answered. Throws PRECIS_DEVICE_ERROR.
inline void require_launched(const char* error) {
  if (error != nullptr) throw sdk::PluginError(PRECIS_DEVICE_ERROR, error);
}

// Makes a device the thread's current one while it lives. Throws PRECIS_DEVICE_ERROR.
class OnDevice {
 public:
  explicit OnDevice(precis_device where) : current_(where.index) {
    require_launched(current_.error());
  }

 private:
  const device::CurrentDevice current_;
};

// A size as kernels count it. Throws PRECIS_UNSUPPORTED.
inline uint32_t narrow(uint64_t size) {
  if (size >= uint64_t{1} << 31)
    throw sdk::PluginError(PRECIS_UNSUPPORTED,
                           "on a device sizes are below 2^31, not " + std::to_string(size));
  return static_cast<uint32_t>(size);
}

// The start of a tensor that kernels read: on `where`, contiguous, aligned to 16 bytes.
template <typename T>
T* device_data(const precis_tensor& tensor, precis_device where, const char* name) {
  const precis_device found = tensor.view.device;
  if (found.type != where.type || found.index != where.index)
    throw sdk::PluginError(
        PRECIS_INVALID_ARGUMENT,
        std::string(name) + " is on " + device_name(found) + ", not on " + device_name(where));
  T* data = sdk::data<T>(tensor);
  if (reinterpret_cast<uintptr_t>(data) % 16 != 0)
    throw sdk::PluginError(PRECIS_UNSUPPORTED, std::string(name) + " is not aligned to 16 bytes");
  return data;
}

// A call for one parameter, on the device of its tensors.
class Work {
 public:
  Work(const precis_call& call, const precis_param& param, precis_device where)
      : call_(call), param_(param), where_(where), matrix_(sdk::matrix(param)) {}

  const precis_param& param() const { return param_; }
  const sdk::Matrix& matrix() const { return matrix_; }
  kernels::WeightType type() const { return weight_type(param_.dtype); }
  void* stream() const { return call_.stream; }

  template <typename T>
  T* data(const precis_tensor& tensor, const char* name) const {
    return device_data<T>(tensor, where_, name);
  }
  kernels::StoredFloats floats(const precis_tensor& part) const {
    return {weight_type(part.view.dtype), data<const void>(part, "a part")};
  }
  template <typename T>
  T* workspace(uint64_t count) const {
    if (call_.workspace_size < count * sizeof(T))
      throw sdk::PluginError(PRECIS_INVALID_ARGUMENT, "the workspace is smaller than planned");
    return static_cast<T*>(call_.workspace);
  }

  // A small part as the host has it. These wait for the stream: PRECIS_UNSUPPORTED where it is
  // being captured.
  std::string read(const precis_tensor& part) const {
    require_may_wait();
    std::string bytes(part.nbytes, '\0');
    require_launched(device::read_device(bytes.data(), data<const void>(part, "a part"),
                                         bytes.size(), call_.stream));
    return bytes;
  }
  void write(const precis_tensor& part, const void* from, uint64_t bytes) const {
    require_may_wait();
    require_bytes(part, bytes);
    require_launched(device::write_device(data<void>(part, "a part"), from, bytes, call_.stream));
  }

  void require_may_wait() const {
    if ((call_.flags & PRECIS_CALL_STREAM_CAPTURING) != 0)
      throw sdk::PluginError(PRECIS_UNSUPPORTED,
                             "the call waits for its stream, which is being captured");
  }

 private:
  const precis_call& call_;
  const precis_param& param_;
  precis_device where_;
  sdk::Matrix matrix_;
};

// Parts of which the host reads some: those are copies, the others the device's.
class HostCopies {
 public:
  // reads(i): whether part i is read.
  template <typename Reads>
  HostCopies(const Work& work, const sdk::ConstParts& parts, Reads reads)
      : bytes_(parts.size()), copies_(parts.size()), parts_(parts) {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      work.data<const void>(*parts[i], "a part");
      if (!reads(i)) continue;
      bytes_[i] = work.read(*parts[i]);
      copies_[i] = *parts[i];
      copies_[i].view.data = bytes_[i].data();
      copies_[i].view.byte_offset = 0;
      parts_[i] = &copies_[i];
    }
  }
  HostCopies(const HostCopies&) = delete;
  HostCopies& operator=(const HostCopies&) = delete;

  const sdk::ConstParts& parts() const { return parts_; }
  // Null for a part that is not read.
  const void* copy(std::size_t i) const { return copies_[i].view.data; }

 private:
  std::vector<std::string> bytes_;
  std::vector<precis_tensor> copies_;
  sdk::ConstParts parts_;
};

// Numbers of the host's in the device's memory while it lives, behind what stands in the stream,
// for which it waits.
class Uploaded {
 public:
  Uploaded(const Work& work, const std::vector<uint32_t>& numbers)
      : memory_(numbers.size() * sizeof(uint32_t), work.stream()), none_(numbers.empty()) {
    require_launched(memory_.error());
    if (none_) return;
    work.require_may_wait();
    require_launched(device::write_device(memory_.data(), numbers.data(),
                                          numbers.size() * sizeof(uint32_t), work.stream()));
  }

  // Null where there are none.
  const uint32_t* data() const {
    return none_ ? nullptr : static_cast<const uint32_t*>(memory_.data());
  }

 private:
  device::StreamMemory memory_;
  bool none_;
};

// Throws PRECIS_UNSUPPORTED for rows whose decoding does not begin where kernels can load.
inline void require_aligned(uint64_t bytes) {
  if (bytes % 16 != 0)
    throw sdk::PluginError(PRECIS_UNSUPPORTED,
                           "on a device the rows begin at a multiple of 16 bytes");
}

}  // namespace precis::plugins::PRECIS_DEVICE

// A plugin with the executor (kernels/simt) as its device, through the plugin's ABI: the path that
// a host takes on a GPU, with host memory in the device's place.
#pragma once

#include <precis/precis.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace precis {

// DLPack's kDLExtDev.
inline constexpr precis_device kExecutor{12, 0};

// A tensor that owns its memory, aligned to 64 bytes.
class OwnedTensor {
 public:
  OwnedTensor(precis_device device, precis_dtype dtype, std::vector<int64_t> shape, uint64_t nbytes,
              const char* encoding = nullptr);
  OwnedTensor(OwnedTensor&&) = default;

  precis_tensor* abi() { return tensor_.get(); }
  const precis_tensor* abi() const { return tensor_.get(); }
  uint8_t* data() { return static_cast<uint8_t*>(tensor_->view.data); }
  const uint8_t* data() const { return static_cast<const uint8_t*>(tensor_->view.data); }
  std::vector<uint8_t> bytes() const { return {data(), data() + tensor_->nbytes}; }
  void assign(const std::vector<uint8_t>& bytes);
  void move_to(precis_device device) { tensor_->view.device = device; }

 private:
  std::vector<int64_t> shape_, strides_;
  std::unique_ptr<uint8_t[]> memory_;
  std::unique_ptr<precis_tensor> tensor_;
};

// What a call answered.
struct Answer {
  precis_status status = PRECIS_OK;
  std::string message;
  bool ok() const { return status == PRECIS_OK; }
};

// A quantizer of the plugin that is linked into the test.
class PluginOnDevice {
 public:
  PluginOnDevice(const std::string& method, const std::string& config);
  ~PluginOnDevice();

  precis_quantizer* quantizer() { return quantizer_; }
  const precis_method& method() const { return *quantizer_->method; }
  const precis_quantize_v1& quantize() const;
  const precis_linear_v1& linear() const;

  // A call with a workspace of `bytes` and a stream that is no null pointer, as a device's is.
  // The answer's message is filled in when the call fails.
  struct Call {
    explicit Call(uint64_t workspace);
    precis_call abi;
    Answer answer;
    std::unique_ptr<OwnedTensor> memory;
  };

  // The parts that the plan asks for, on its device; `workspace` is what it asks for besides.
  std::vector<OwnedTensor> planned_parts(precis_device device, const precis_param& param,
                                         uint64_t* workspace, Answer* answer);

 private:
  precis_quantizer* quantizer_ = nullptr;
};

// The linked plugin must give on the executor what it gives on the CPU, for a weight
// [rows, columns] of normal numbers in each dtype: the same parts, bit for bit; the same decoded
// values, bit for bit; and products with x of 1, 5 and 20 rows that are those of the CPU up to
// `tolerance` times sum |w x|, 0 for bit for bit.
struct DeviceCase {
  std::string method, config;
  int64_t rows, columns;
  double tolerance;
  bool encodes = true;         // false: the parts are made on the CPU only
  bool bfloat16_only = false;  // weights of other dtypes are refused
  bool multiplies = true;      // false: products are left to the host
  // The parts of a weight of this dtype, for methods that only read; null: the plugin makes them.
  std::function<std::vector<OwnedTensor>(precis_dtype)> stored = nullptr;
  uint32_t options = 0;  // precis_linear_options.flags of devices
  // Where the CPU has no product, y is compared with that of the decoded weight.
  bool devices_multiply = false;
};
void expect_device_as_cpu(const DeviceCase& on);

// A part for DeviceCase::stored: random bytes, or floats from 0.01 to 0.05 of a dtype.
OwnedTensor random_part(precis_dtype dtype, std::vector<int64_t> shape);

// A device that the build has no kernels for, or that is not there, is refused by every plan with a
// message, and a tensor on another device by forward.
void expect_other_devices_refused(const DeviceCase& on);

// Bytes of workspace that a product on the executor plans for, with precis_linear_options.flags:
// what tells one kind of product from another.
uint64_t planned_workspace(const DeviceCase& on, uint32_t flags);

// Where there is no product for what stands in the parts, preparing it says so.
void expect_product_refused(const DeviceCase& on, const std::string& message);

// Where there is no kernel that encodes, quantize says so.
void expect_encoding_refused(
    const DeviceCase& on,
    const std::string& message =
        "on a device such weights are decoded and multiplied; they are encoded on the CPU");

}  // namespace precis

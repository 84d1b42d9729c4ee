#include "tests/device/plugin_on_device.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "kernels/selftest/reference.h"

extern "C" const precis_plugin_entry precis_plugin_entry_v1;

namespace precis {
namespace {

using kernels::WeightType;

constexpr precis_device kCpu{PRECIS_DEVICE_CPU, 0};

precis_dtype dtype_of(WeightType type) {
  return type == WeightType::f32   ? precis_dtype{PRECIS_TYPE_FLOAT, 32, 1}
         : type == WeightType::f16 ? precis_dtype{PRECIS_TYPE_FLOAT, 16, 1}
                                   : precis_dtype{PRECIS_TYPE_BFLOAT, 16, 1};
}

precis_str text(const std::string& value) {
  return {value.data(), value.size()};
}

const precis_quantizer_factory_v1& factory() {
  static const bool once = [] {
    static const precis_host host{
        sizeof(precis_host),
        PRECIS_ABI_MAJOR,
        PRECIS_ABI_MINOR,
        0,
        nullptr,
        "test",
        "0",
        [](const precis_host*, const char*) -> const void* { return nullptr; }};
    return precis_plugin_entry_v1.init(&host, PRECIS_ABI_MINOR, nullptr) == PRECIS_OK;
  }();
  EXPECT_TRUE(once);
  return *static_cast<const precis_quantizer_factory_v1*>(
      precis_plugin_entry_v1.get_factory(PRECIS_QUANTIZER_FACTORY_1));
}

struct Weight {
  std::vector<int64_t> shape;
  precis_param param;
  OwnedTensor tensor;
  Weight(WeightType type, int64_t rows, int64_t columns)
      : shape{rows, columns},
        param{sizeof(precis_param), 0,  text(kName), text(kKind), dtype_of(type), 2,
              shape.data(),         {}, nullptr},
        tensor(kCpu, dtype_of(type), shape,
               static_cast<uint64_t>(rows * columns) * kernels::bytes_of(type)) {
    kernels::Random random(static_cast<uint64_t>(rows * 7 + columns));
    tensor.assign(kernels::encode(
        type, kernels::normal_values(random, static_cast<uint64_t>(rows * columns))));
  }
  inline static const std::string kName = "layer.weight", kKind = "Linear";
};

std::vector<precis_tensor*> pointers(std::vector<OwnedTensor>& tensors) {
  std::vector<precis_tensor*> list;
  for (OwnedTensor& tensor : tensors) list.push_back(tensor.abi());
  return list;
}

std::vector<OwnedTensor> encoded(PluginOnDevice& plugin, Weight& weight, precis_device device) {
  uint64_t workspace = 0;
  Answer answer;
  std::vector<OwnedTensor> parts = plugin.planned_parts(device, weight.param, &workspace, &answer);
  EXPECT_TRUE(answer.ok()) << answer.message;
  weight.tensor.move_to(device);
  PluginOnDevice::Call call(workspace);
  auto list = pointers(parts);
  EXPECT_EQ(plugin.quantize().quantize(plugin.quantizer(), &call.abi, &weight.param,
                                       weight.tensor.abi(), list.data(), list.size()),
            PRECIS_OK)
      << call.answer.message;
  weight.tensor.move_to(kCpu);
  return parts;
}

std::vector<uint8_t> decoded(PluginOnDevice& plugin, Weight& weight,
                             std::vector<OwnedTensor>& parts, WeightType type,
                             precis_device device) {
  for (OwnedTensor& part : parts) part.move_to(device);
  const auto elements = static_cast<uint64_t>(weight.shape[0] * weight.shape[1]);
  OwnedTensor out(device, dtype_of(type), weight.shape, elements * kernels::bytes_of(type));
  PluginOnDevice::Call call(0);
  auto list = pointers(parts);
  EXPECT_EQ(plugin.quantize().dequantize(plugin.quantizer(), &call.abi, &weight.param, list.data(),
                                         list.size(), 0, out.abi()),
            PRECIS_OK)
      << call.answer.message;
  return out.bytes();
}

struct Activations {
  OwnedTensor x, bias;
  Activations(WeightType type, int64_t m, int64_t rows, int64_t columns)
      : x(kCpu, dtype_of(type), {m, columns}, static_cast<uint64_t>(m * columns * 2)),
        bias(kCpu, dtype_of(type), {rows}, static_cast<uint64_t>(rows * 2)) {
    kernels::Random random(static_cast<uint64_t>(m + columns));
    std::vector<float> values = kernels::normal_values(random, static_cast<uint64_t>(m * columns));
    values[3] = 7.5f;  // an outlier of LLM.int8()
    x.assign(kernels::encode(type, values));
    bias.assign(kernels::encode(type, kernels::normal_values(random, static_cast<uint64_t>(rows))));
  }
};

// A prepared product with what it keeps.
struct Prepared {
  precis_linear_options options;
  uint64_t workspace = 0;
  std::vector<OwnedTensor> packed;
  precis_linear* handle = nullptr;
  const precis_linear_v1* table = nullptr;
  Answer answer;
  ~Prepared() {
    if (handle != nullptr) table->destroy(handle);
  }
};

// Room for the specs of a plan.
struct PlanRoom {
  std::vector<precis_tensor_spec> specs = std::vector<precis_tensor_spec>(32);
  std::vector<precis_tensor_spec*> list;
  precis_plan plan{};
  PlanRoom() {
    for (precis_tensor_spec& spec : specs) {
      spec = {};
      spec.struct_size = sizeof spec;
      list.push_back(&spec);
    }
    plan.struct_size = sizeof plan;
    plan.outputs = list.data();
    plan.capacity = static_cast<uint32_t>(list.size());
  }
  std::vector<OwnedTensor> allocate(precis_device device) const {
    std::vector<OwnedTensor> out;
    for (uint32_t i = 0; i < plan.count; ++i)
      out.emplace_back(device, specs[i].dtype,
                       std::vector<int64_t>(specs[i].shape, specs[i].shape + specs[i].ndim),
                       specs[i].nbytes, specs[i].encoding);
    return out;
  }
};

std::unique_ptr<Prepared> prepare(PluginOnDevice& plugin, Weight& weight,
                                  std::vector<OwnedTensor>& parts, WeightType activation,
                                  precis_device device, uint32_t flags = 0) {
  auto made = std::make_unique<Prepared>();
  made->table = &plugin.linear();
  made->options = {sizeof(precis_linear_options), flags, device, dtype_of(activation), 0, 32};
  PlanRoom room;
  PluginOnDevice::Call planning(0);
  made->answer.status = plugin.linear().plan(plugin.quantizer(), &planning.abi, &made->options,
                                             &weight.param, &room.plan);
  made->answer.message = planning.answer.message;
  if (!made->answer.ok()) return made;
  made->workspace = room.plan.workspace_size;
  made->packed = room.allocate(device);
  for (OwnedTensor& part : parts) part.move_to(device);
  PluginOnDevice::Call call(made->workspace);
  auto list = pointers(parts), packed = pointers(made->packed);
  made->answer.status = plugin.linear().prepare(plugin.quantizer(), &call.abi, &made->options,
                                                &weight.param, list.data(), list.size(),
                                                packed.data(), packed.size(), &made->handle);
  made->answer.message = call.answer.message;
  return made;
}

std::vector<uint8_t> product(Prepared& prepared, Activations& with, int64_t rows) {
  const precis_device device = prepared.options.device;
  with.x.move_to(device);
  with.bias.move_to(device);
  const int64_t m = with.x.abi()->view.shape[0];
  OwnedTensor y(device, prepared.options.activation, {m, rows},
                static_cast<uint64_t>(m * rows * 2));
  PluginOnDevice::Call call(prepared.workspace);
  // Whatever waits for the stream refuses to where it is being captured: forward never does.
  if (device.type != PRECIS_DEVICE_CPU) call.abi.flags |= PRECIS_CALL_STREAM_CAPTURING;
  EXPECT_EQ(
      prepared.table->forward(prepared.handle, &call.abi, with.x.abi(), with.bias.abi(), y.abi()),
      PRECIS_OK)
      << call.answer.message;
  return y.bytes();
}

// y of decoded weights, for methods whose product is a device's alone.
std::vector<float> float_product(const std::vector<float>& weight, Activations& with,
                                 WeightType activation, const DeviceCase& on) {
  const auto x = kernels::decode(activation, with.x.bytes()),
             bias = kernels::decode(activation, with.bias.bytes());
  const auto rows = static_cast<size_t>(on.rows), columns = static_cast<size_t>(on.columns);
  std::vector<float> y(x.size() / columns * rows);
  for (size_t i = 0; i < y.size(); ++i) {
    double sum = static_cast<double>(bias[i % rows]);
    for (size_t k = 0; k < columns; ++k)
      sum += static_cast<double>(weight[i % rows * columns + k]) *
             static_cast<double>(x[i / rows * columns + k]);
    y[i] = static_cast<float>(sum);
  }
  return y;
}

void expect_products(PluginOnDevice& plugin, Weight& weight, std::vector<OwnedTensor>& parts,
                     const DeviceCase& on, WeightType activation) {
  const std::vector<float> values =
      kernels::decode(WeightType::f32, decoded(plugin, weight, parts, WeightType::f32, kCpu));
  const auto cpu = prepare(plugin, weight, parts, activation, kCpu);
  ASSERT_TRUE(cpu->answer.ok() || on.devices_multiply) << cpu->answer.message;
  for (const int64_t m : {1, 5, 20}) {
    Activations with(activation, m, on.rows, on.columns);
    for (OwnedTensor& part : parts) part.move_to(kCpu);
    const auto wanted = cpu->answer.ok() ? kernels::decode(activation, product(*cpu, with, on.rows))
                                         : float_product(values, with, activation, on);
    const auto device = prepare(plugin, weight, parts, activation, kExecutor, on.options);
    ASSERT_TRUE(device->answer.ok()) << device->answer.message;
    const auto got = kernels::decode(activation, product(*device, with, on.rows));
    const auto x = kernels::decode(activation, with.x.bytes());
    for (int64_t i = 0; i < m * on.rows; ++i) {
      double magnitude = 1;
      for (int64_t k = 0; k < on.columns; ++k)
        magnitude += std::fabs(
            static_cast<double>(values[static_cast<size_t>(i % on.rows * on.columns + k)]) *
            static_cast<double>(x[static_cast<size_t>(i / on.rows * on.columns + k)]));
      const auto at = static_cast<size_t>(i);
      ASSERT_LE(std::fabs(static_cast<double>(got[at]) - static_cast<double>(wanted[at])),
                on.tolerance * magnitude)
          << "y[" << i << "] of " << m << " rows: " << got[at] << ", wanted " << wanted[at];
    }
  }
}

}  // namespace

OwnedTensor::OwnedTensor(precis_device device, precis_dtype dtype, std::vector<int64_t> shape,
                         uint64_t nbytes, const char* encoding)
    : shape_(std::move(shape)),
      strides_(shape_.size(), 1),
      memory_(new uint8_t[nbytes + 128]()),
      tensor_(new precis_tensor{}) {
  for (size_t i = shape_.size(); i-- > 1;) strides_[i - 1] = strides_[i] * shape_[i];
  const auto address = reinterpret_cast<uintptr_t>(memory_.get());
  tensor_->struct_size = sizeof(precis_tensor);
  tensor_->view = {memory_.get() + (64 - address % 64),
                   device,
                   static_cast<int32_t>(shape_.size()),
                   dtype,
                   shape_.data(),
                   strides_.data(),
                   0};
  tensor_->nbytes = nbytes;
  tensor_->encoding = encoding;
}

void OwnedTensor::assign(const std::vector<uint8_t>& bytes) {
  ASSERT_EQ(bytes.size(), tensor_->nbytes);
  std::memcpy(data(), bytes.data(), bytes.size());
}

PluginOnDevice::PluginOnDevice(const std::string& method, const std::string& config) {
  for (uint32_t i = 0; i < factory().count(); ++i) {
    if (factory().method(i)->id != method) continue;
    Call call(0);
    const precis_config request{sizeof(precis_config), 0, text(config), {}, {}};
    EXPECT_EQ(factory().create(&call.abi, i, &request, &quantizer_), PRECIS_OK)
        << call.answer.message;
  }
  if (quantizer_ == nullptr) throw std::runtime_error("the plugin has no method " + method);
}

PluginOnDevice::~PluginOnDevice() {
  quantizer_->destroy(quantizer_);
}

const precis_quantize_v1& PluginOnDevice::quantize() const {
  return *static_cast<const precis_quantize_v1*>(
      quantizer_->get_extension(quantizer_, PRECIS_QUANTIZE_1));
}
const precis_linear_v1& PluginOnDevice::linear() const {
  return *static_cast<const precis_linear_v1*>(
      quantizer_->get_extension(quantizer_, PRECIS_LINEAR_1));
}

PluginOnDevice::Call::Call(uint64_t workspace) : abi{} {
  memory = std::make_unique<OwnedTensor>(kExecutor, precis_dtype{PRECIS_TYPE_UINT, 8, 1},
                                         std::vector<int64_t>{static_cast<int64_t>(workspace)},
                                         workspace);
  abi.struct_size = sizeof abi;
  abi.ctx = this;
  abi.stream = this;
  abi.workspace = memory->data();
  abi.workspace_size = workspace;
  abi.fail = [](const precis_call* call, precis_status status, precis_str message) {
    auto& self = *static_cast<Call*>(call->ctx);
    self.answer = {status, std::string(message.data, message.size)};
  };
}

std::vector<OwnedTensor> PluginOnDevice::planned_parts(precis_device device,
                                                       const precis_param& param,
                                                       uint64_t* workspace, Answer* answer) {
  PlanRoom room;
  Call call(0);
  answer->status = quantize().plan(quantizer_, &call.abi, device, &param, &room.plan);
  answer->message = call.answer.message;
  *workspace = room.plan.workspace_size;
  return answer->ok() ? room.allocate(device) : std::vector<OwnedTensor>();
}

void expect_device_as_cpu(const DeviceCase& on) {
  SCOPED_TRACE(on.method + " " + on.config);
  PluginOnDevice plugin(on.method, on.config);
  for (const WeightType type : {WeightType::f32, WeightType::f16, WeightType::bf16}) {
    if (on.bfloat16_only && type != WeightType::bf16) continue;
    SCOPED_TRACE(kernels::name_of(type));
    Weight weight(type, on.rows, on.columns);
    std::vector<OwnedTensor> parts =
        on.stored ? on.stored(weight.param.dtype) : encoded(plugin, weight, kCpu);
    if (on.encodes && !on.stored) {
      const std::vector<OwnedTensor> on_device = encoded(plugin, weight, kExecutor);
      ASSERT_EQ(on_device.size(), parts.size());
      for (size_t i = 0; i < parts.size(); ++i)
        EXPECT_EQ(on_device[i].bytes(), parts[i].bytes()) << "part " << i;
    }
    for (const WeightType out : {WeightType::f32, WeightType::f16, WeightType::bf16})
      EXPECT_EQ(decoded(plugin, weight, parts, out, kExecutor),
                decoded(plugin, weight, parts, out, kCpu))
          << "decoded to " << kernels::name_of(out);
    if (type == WeightType::f32 || !on.multiplies) continue;
    expect_products(plugin, weight, parts, on, type);
  }
}

OwnedTensor random_part(precis_dtype dtype, std::vector<int64_t> shape) {
  uint64_t elements = 1;
  for (const int64_t side : shape) elements *= static_cast<uint64_t>(side);
  kernels::Random random(elements + dtype.bits);
  std::vector<uint8_t> bytes(elements * dtype.bits / 8);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random.bits() >> 9);
  if (dtype.code == PRECIS_TYPE_FLOAT || dtype.code == PRECIS_TYPE_BFLOAT) {
    std::vector<float> values(elements);
    for (float& value : values) value = random.uniform(0.01f, 0.05f);
    bytes = kernels::encode(dtype.code == PRECIS_TYPE_BFLOAT ? WeightType::bf16
                            : dtype.bits == 16               ? WeightType::f16
                                                             : WeightType::f32,
                            values);
  }
  OwnedTensor part(kCpu, dtype, std::move(shape), bytes.size());
  part.assign(bytes);
  return part;
}

void expect_encoding_refused(const DeviceCase& on, const std::string& message) {
  PluginOnDevice plugin(on.method, on.config);
  Weight weight(WeightType::f16, on.rows, on.columns);
  uint64_t workspace = 0;
  Answer answer;
  std::vector<OwnedTensor> parts =
      plugin.planned_parts(kExecutor, weight.param, &workspace, &answer);
  ASSERT_TRUE(answer.ok()) << answer.message;
  weight.tensor.move_to(kExecutor);
  PluginOnDevice::Call call(workspace);
  auto list = pointers(parts);
  EXPECT_EQ(plugin.quantize().quantize(plugin.quantizer(), &call.abi, &weight.param,
                                       weight.tensor.abi(), list.data(), list.size()),
            PRECIS_UNSUPPORTED);
  EXPECT_EQ(call.answer.message, message);
}

uint64_t planned_workspace(const DeviceCase& on, uint32_t flags) {
  PluginOnDevice plugin(on.method, on.config);
  Weight weight(WeightType::f16, on.rows, on.columns);
  std::vector<OwnedTensor> parts = encoded(plugin, weight, kCpu);
  const auto prepared = prepare(plugin, weight, parts, WeightType::f16, kExecutor, flags);
  EXPECT_TRUE(prepared->answer.ok()) << prepared->answer.message;
  return prepared->workspace;
}

void expect_product_refused(const DeviceCase& on, const std::string& message) {
  PluginOnDevice plugin(on.method, on.config);
  Weight weight(WeightType::f16, on.rows, on.columns);
  std::vector<OwnedTensor> parts = on.stored(weight.param.dtype);
  const auto prepared = prepare(plugin, weight, parts, WeightType::f16, kExecutor);
  EXPECT_EQ(prepared->answer.status, PRECIS_UNSUPPORTED);
  EXPECT_EQ(prepared->answer.message, message);
}

void expect_other_devices_refused(const DeviceCase& on) {
  PluginOnDevice plugin(on.method, on.config);
  Weight weight(WeightType::f16, on.rows, on.columns);
  uint64_t workspace = 0;
  for (const auto& [device, reason] :
       {std::pair{precis_device{PRECIS_DEVICE_CUDA, 0},
                  "cuda:0: this build of the plugin has no kernels for it"},
        std::pair{precis_device{12, 1}, "executor:1: the executor is one device, number 0"}}) {
    Answer answer;
    plugin.planned_parts(device, weight.param, &workspace, &answer);
    EXPECT_EQ(answer.status, PRECIS_UNSUPPORTED);
    EXPECT_EQ(answer.message, reason);
  }
  const std::vector<int64_t> wide{int64_t{1} << 31, on.columns};
  Weight too_large(WeightType::f16, on.rows, on.columns);
  too_large.param.shape = wide.data();
  std::vector<OwnedTensor> none;
  EXPECT_EQ(prepare(plugin, too_large, none, WeightType::f16, kExecutor)->answer.message,
            "on a device sizes are below 2^31, not 2147483648");

  std::vector<OwnedTensor> parts = encoded(plugin, weight, kCpu);
  EXPECT_EQ(prepare(plugin, weight, parts, WeightType::f16, {PRECIS_DEVICE_CUDA, 0})->answer.status,
            PRECIS_UNSUPPORTED);
  EXPECT_EQ(prepare(plugin, weight, parts, WeightType::f32, kExecutor)->answer.message,
            "products on a device take activations in float16 or bfloat16");

  const auto prepared = prepare(plugin, weight, parts, WeightType::f16, kExecutor);
  ASSERT_TRUE(prepared->answer.ok()) << prepared->answer.message;
  Activations with(WeightType::f16, 2, on.rows, on.columns);
  OwnedTensor y(kExecutor, dtype_of(WeightType::f16), {2, on.rows},
                static_cast<uint64_t>(2 * on.rows * 2));
  PluginOnDevice::Call call(prepared->workspace);
  EXPECT_EQ(prepared->table->forward(prepared->handle, &call.abi, with.x.abi(), nullptr, y.abi()),
            PRECIS_INVALID_ARGUMENT);
  EXPECT_EQ(call.answer.message, "x is on cpu:0, not on executor:0");
}

}  // namespace precis

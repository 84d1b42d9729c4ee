// Products with quantized weights, against the method's own decoder and sums in float64.
#include <algorithm>
#include <cmath>
#include <limits>
#include <thread>

#include "core/abi/views.h"
#include "validate/rules/rule.h"
#include "validate/subject/older_host.h"

namespace precis::validate {
namespace {

// Rows of numbers that a product reads or writes.
class Rows {
 public:
  Rows(DType dtype, int64_t rows, int64_t columns, int64_t gap = 0, Guard guard = Guard::slack)
      : dtype_(dtype),
        shape_{rows, columns},
        strides_{columns + gap, 1},
        memory_(static_cast<uint64_t>(rows == 0 ? 0 : (rows - 1) * (columns + gap) + columns) *
                    dtype_bits(dtype) / 8,
                guard, std::byte{0x55}) {
    tensor_.struct_size = sizeof tensor_;
    tensor_.view = {memory_.bytes().data(), kCpuDevice, 2, to_abi(dtype), shape_, strides_, 0};
    tensor_.nbytes = memory_.bytes().size();
  }
  Rows(Rows&&) = delete;

  void set(std::span<const float> values) {
    for (int64_t row = 0; row < shape_[0]; ++row)
      store_numbers(dtype_,
                    values.subspan(static_cast<std::size_t>(row * shape_[1]),
                                   static_cast<std::size_t>(shape_[1])),
                    at(row));
  }
  std::vector<float> row(int64_t index) const {
    return load_numbers(dtype_,
                        {at(index), static_cast<std::size_t>(shape_[1]) * dtype_bits(dtype_) / 8});
  }
  void make_bias() {
    tensor_.view.ndim = 1;
    tensor_.view.shape = &shape_[1];
    tensor_.view.strides = &strides_[1];
  }
  precis_tensor* abi() { return &tensor_; }
  GuardedMemory& memory() { return memory_; }

 private:
  std::byte* at(int64_t row) const {
    return memory_.bytes().data() +
           row * strides_[0] * static_cast<int64_t>(dtype_bits(dtype_) / 8);
  }
  DType dtype_;
  int64_t shape_[2], strides_[2];
  GuardedMemory memory_;
  precis_tensor tensor_{};
};

constexpr int64_t kMostRows = 9;

// A weight made ready for products of up to kMostRows rows.
class Product {
 public:
  static Result<std::unique_ptr<Product>> make(const Instance& instance, const Weight& weight,
                                               DType activation) {
    PRECIS_ASSIGN(auto parts, encoded_parts(instance, weight));
    PRECIS_ASSIGN(auto product, make(instance, weight, activation, std::move(parts)));
    PRECIS_ASSIGN(product->decoded_, decoded_numbers(instance, weight, product->parts_));
    return product;
  }
  // Of these parts, whatever they are.
  static Result<std::unique_ptr<Product>> make(const Instance& instance, const Weight& weight,
                                               DType activation,
                                               std::vector<std::vector<std::byte>> parts) {
    std::unique_ptr<Product> product(new Product(instance, weight, activation));
    product->parts_ = std::move(parts);
    PRECIS_TRY(product->prepare());
    return product;
  }
  ~Product() {
    if (handle_ != nullptr) instance_.linear()->destroy(handle_);
  }

  bool keeps_parts() const { return (flags_ & PRECIS_LINEAR_KEEPS_PARTS) != 0; }
  // Takes the stored parts away, as a host may that was not told to keep them.
  void drop_parts() {
    for (GuardedMemory& part : parts_memory_) part.make_inaccessible();
  }
  Status forward(Rows& x, Rows* bias, Rows& y, Guard guard = Guard::slack) const {
    const GuardedMemory workspace(plan_.workspace_bytes, guard, std::byte{0xff});
    RecordedCall call;
    call.use_workspace(workspace.bytes());
    PRECIS_TRY(call.finish(instance_.linear()->forward(
        handle_, call.abi(), x.abi(), bias == nullptr ? nullptr : bias->abi(), y.abi())));
    if (!workspace.intact()) return violation("it writes outside of its workspace");
    return {};
  }
  Result<std::vector<std::vector<std::byte>>> unpacked() const {
    std::vector<GuardedMemory> memory;
    std::vector<std::span<std::byte>> buffers;
    for (const PartSpec& part : weight_.plan.parts)
      buffers.push_back(memory.emplace_back(part.nbytes, Guard::slack, std::byte{0x66}).bytes());
    const AbiTensors tensors(weight_.plan.parts, buffers);
    const RecordedCall call;
    PRECIS_TRY(call.finish(
        instance_.linear()->unpack(handle_, call.abi(), tensors.pointers(), tensors.count())));
    std::vector<std::vector<std::byte>> parts;
    for (const auto& buffer : buffers) parts.emplace_back(buffer.begin(), buffer.end());
    return parts;
  }
  const std::vector<std::vector<std::byte>>& parts() const { return parts_; }
  const std::vector<float>& decoded() const { return decoded_; }
  bool intact() const {
    return std::all_of(packed_memory_.begin(), packed_memory_.end(),
                       [](const GuardedMemory& memory) { return memory.intact(); });
  }

 private:
  Product(const Instance& instance, const Weight& weight, DType activation)
      : instance_(instance), weight_(weight), param_(weight.param) {
    options_.struct_size = sizeof options_;
    options_.device = kCpuDevice;
    options_.activation = to_abi(activation);
    options_.max_rows = kMostRows;
  }

  Status prepare() {
    PRECIS_ASSIGN(plan_, ask_for_plan(
                             [&](const precis_call* call, precis_plan* out) {
                               return instance_.linear()->plan(instance_.handle(), call, &options_,
                                                               param_.get(), out);
                             },
                             &flags_));
    std::vector<std::span<std::byte>> parts, packed;
    for (const auto& part : parts_) {
      GuardedMemory& memory = parts_memory_.emplace_back(part.size(), Guard::behind, std::byte{0});
      std::copy(part.begin(), part.end(), memory.bytes().begin());
      memory.make_read_only();
      parts.push_back(memory.bytes());
    }
    for (const PartSpec& part : plan_.parts)
      packed.push_back(
          packed_memory_.emplace_back(part.nbytes, Guard::behind, std::byte{0x77}).bytes());
    parts_tensors_ = std::make_unique<AbiTensors>(weight_.plan.parts, parts);
    packed_tensors_ = std::make_unique<AbiTensors>(plan_.parts, packed);
    const GuardedMemory workspace(plan_.workspace_bytes, Guard::behind, std::byte{0xff});
    RecordedCall call;
    call.use_workspace(workspace.bytes());
    return call.finish(instance_.linear()->prepare(
        instance_.handle(), call.abi(), &options_, param_.get(), parts_tensors_->const_pointers(),
        parts_tensors_->count(), packed_tensors_->pointers(), packed_tensors_->count(), &handle_));
  }

  const Instance& instance_;
  const Weight& weight_;
  const HostParam param_;
  precis_linear_options options_{};
  PartPlan plan_;
  uint32_t flags_ = 0;
  std::vector<std::vector<std::byte>> parts_;
  std::vector<float> decoded_;
  std::vector<GuardedMemory> parts_memory_, packed_memory_;
  std::unique_ptr<AbiTensors> parts_tensors_, packed_tensors_;
  precis_linear* handle_ = nullptr;
};

// For every preset with products: test(weight, product), the activations in float32 or the first
// dtype that the method takes.
Verdict for_each_product(
    const Subject& subject,
    const std::function<Verdict(const Weight&, DType activation, Product&)>& test) {
  return for_each_readable(subject, [&](const Instance& instance, const Weight& weight) -> Verdict {
    if (instance.linear() == nullptr) return Verdict::skip("it has no precis.linear/1");
    for (const DType activation : {DType::f32, DType::bf16, DType::f16}) {
      auto product = Product::make(instance, weight, activation);
      if (product.ok()) return test(weight, activation, **product);
      if (product.error().code() != ErrorCode::unsupported) return product.error();
    }
    return Verdict::skip("it has no products with what this preset writes");
  });
}

std::vector<float> activations(int64_t rows, int64_t columns) {
  return normal_numbers(static_cast<std::size_t>(rows * columns), 3, 25);
}

// Products may round activations to 8 bits where the format's library does.
constexpr double kMostError = 0.05;

Verdict check_rows(const Weight& weight, DType activation, Product& product, int64_t rows,
                   bool with_bias, int64_t gap) {
  const int64_t outputs = weight.param.shape[0], inputs = weight.param.shape[1];
  Rows x(activation, rows, inputs, gap), y(activation, rows, outputs, gap),
      bias(activation, 1, outputs);
  x.set(activations(rows, inputs));
  const std::vector<float> added = normal_numbers(static_cast<std::size_t>(outputs), 4, 25);
  bias.set(added);
  bias.make_bias();
  const auto done = product.forward(x, with_bias ? &bias : nullptr, y);
  if (!done.ok()) return done.error();
  for (int64_t row = 0; row < rows; ++row) {
    const std::vector<float> in = x.row(row), got = y.row(row);
    std::vector<float> want(static_cast<std::size_t>(outputs));
    for (std::size_t o = 0; o < want.size(); ++o) {
      double sum = with_bias ? added[o] : 0;
      for (std::size_t i = 0; i < in.size(); ++i)
        sum += double{in[i]} * product.decoded()[o * in.size() + i];
      want[o] = static_cast<float>(sum);
    }
    if (const double off = relative_error(got, want); !(off < kMostError))
      return violation("row {} of {}{} is off by {:.3f} of what the decoded weight gives", row,
                       rows, with_bias ? " with a bias" : "", off);
  }
  return {};
}

Verdict products(Subject& subject) {
  return for_each_product(
      subject, [](const Weight& weight, DType activation, Product& product) -> Verdict {
        for (const int64_t rows : {int64_t{1}, int64_t{4}, kMostRows}) {
          for (const bool bias : {false, true}) {
            Verdict verdict = check_rows(weight, activation, product, rows, bias, 0);
            if (verdict.kind() == Verdict::Kind::failed) return verdict;
          }
        }
        return {};
      });
}

Verdict few_rows(Subject& subject) {
  return for_each_product(subject, [](const Weight& weight, DType activation, Product& product) {
    return check_rows(weight, activation, product, 0, false, 0);
  });
}

Verdict strided(Subject& subject) {
  return for_each_product(
      subject, [](const Weight& weight, DType activation, Product& product) -> Verdict {
        Rows x(activation, 3, weight.param.shape[1], 8), y(activation, 3, weight.param.shape[0], 8);
        x.set(activations(3, weight.param.shape[1]));
        const auto done = product.forward(x, nullptr, y);
        if (!done.ok() && done.error().code() == ErrorCode::unsupported) return {};
        return check_rows(weight, activation, product, 3, false, 8);
      });
}

Verdict outputs(Subject& subject) {
  return for_each_product(subject,
                          [](const Weight& weight, DType activation, Product& product) -> Verdict {
                            for (const Guard guard : {Guard::behind, Guard::before}) {
                              Rows x(activation, 3, weight.param.shape[1], 0, guard);
                              Rows y(activation, 3, weight.param.shape[0], 0, guard);
                              x.set(activations(3, weight.param.shape[1]));
                              x.memory().make_read_only();
                              PRECIS_TRY(product.forward(x, nullptr, y, guard));
                              if (!y.memory().intact() || !product.intact())
                                return violation("it writes outside of y or of its packed tensors");
                            }
                            return {};
                          });
}

Verdict non_finite(Subject& subject) {
  return for_each_product(
      subject, [](const Weight& weight, DType activation, Product& product) -> Verdict {
        const int64_t inputs = weight.param.shape[1];
        Rows x(activation, 3, inputs), y(activation, 3, weight.param.shape[0]);
        std::vector<float> values = activations(3, inputs);
        for (const float special :
             {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
          values[static_cast<std::size_t>(inputs) + 3] = special;
          x.set(values);
          PRECIS_TRY(product.forward(x, nullptr, y));
          for (const int64_t row : {int64_t{0}, int64_t{2}}) {
            for (const float value : y.row(row)) {
              if (!std::isfinite(value))
                return violation("{} in row 1 of x makes row {} of y {}", special, row, value);
            }
          }
        }
        return {};
      });
}

Verdict concurrent(Subject& subject) {
  return for_each_product(
      subject, [](const Weight& weight, DType activation, Product& product) -> Verdict {
        constexpr int kThreads = 8;
        const int64_t outputs = weight.param.shape[0], inputs = weight.param.shape[1];
        const std::vector<float> values = activations(kThreads, inputs);
        const auto forward = [&](int index) -> std::vector<float> {
          Rows x(activation, 1, inputs), y(activation, 1, outputs);
          x.set(std::span(values).subspan(static_cast<std::size_t>(index * inputs),
                                          static_cast<std::size_t>(inputs)));
          return product.forward(x, nullptr, y).ok() ? y.row(0) : std::vector<float>();
        };
        std::vector<std::vector<float>> alone(kThreads), together(kThreads);
        for (int i = 0; i < kThreads; ++i) alone[static_cast<std::size_t>(i)] = forward(i);
        std::vector<std::thread> threads;
        for (int i = 0; i < kThreads; ++i)
          threads.emplace_back([&, i] { together[static_cast<std::size_t>(i)] = forward(i); });
        for (std::thread& thread : threads) thread.join();
        if (alone == together) return {};
        return violation("8 calls of forward at once give other results than one after another");
      });
}

Verdict parts_freed(Subject& subject) {
  return for_each_product(subject,
                          [](const Weight& weight, DType activation, Product& product) -> Verdict {
                            if (product.keeps_parts())
                              return Verdict::skip("its plans keep the parts");
                            product.drop_parts();
                            doing("forward after the parts were freed");
                            return check_rows(weight, activation, product, 2, false, 0);
                          });
}

Verdict unpack(Subject& subject) {
  return for_each_product(subject, [](const Weight&, DType, Product& product) -> Verdict {
    if (product.keeps_parts()) return Verdict::skip("its plans keep the parts");
    PRECIS_ASSIGN(const auto parts, product.unpacked());
    if (parts == product.parts()) return {};
    return violation("unpack gives other bytes than prepare was given");
  });
}

Verdict damaged_parts(Subject& subject) {
  return for_each_readable(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    if (instance.linear() == nullptr) return Verdict::skip("it has no precis.linear/1");
    PRECIS_ASSIGN(const auto parts, encoded_parts(instance, weight));
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (weight.plan.parts[i].shape.empty() || parts[i].empty()) continue;
      for (const bool empty : {true, false}) {
        const auto whole = static_cast<std::size_t>(weight.plan.parts[i].shape.front());
        const std::size_t kept = empty ? 0 : whole / 2;
        Weight shortened = weight;
        auto damaged = parts;
        shortened.plan.parts[i].shape.front() = static_cast<int64_t>(kept);
        shortened.plan.parts[i].nbytes = parts[i].size() / whole * kept;
        damaged[i].resize(shortened.plan.parts[i].nbytes);
        doing(fmt::format("prepare with {} of {} in the first dimension of '{}'", kept, whole,
                          weight.plan.parts[i].name));
        const auto product = Product::make(instance, shortened, DType::f32, std::move(damaged));
        if (!product.ok()) continue;
        Rows x(DType::f32, 1, weight.param.shape[1]), y(DType::f32, 1, weight.param.shape[0]);
        x.set(activations(1, weight.param.shape[1]));
        (void)(*product)->forward(x, nullptr, y);
      }
    }
    return {};
  });
}

constexpr Rule kRules[] = {
    {"linear.products", "ext/linear.h: forward", "y is x times the decoded weight, plus the bias",
     products},
    {"linear.no-rows", "ext/linear.h: forward", "x without rows is taken", few_rows},
    {"linear.strided", "ext/linear.h: forward",
     "rows with gaps between them are followed or refused", strided},
    {"linear.outputs", "C1", "it writes y, its packed tensors and its workspace alone", outputs},
    {"linear.non-finite", "ext/linear.h: forward", "NaN and Inf of x stay in their row of y",
     non_finite},
    {"linear.concurrent", "ext/linear.h: forward", "forward runs on several threads at once",
     concurrent},
    {"linear.parts-freed", "ext/linear.h: PRECIS_LINEAR_KEEPS_PARTS",
     "without the flag nothing reads the parts after prepare", parts_freed},
    {"linear.damaged-parts", "base.h: PRECIS_DATA_LOSS", "parts that are too short end no process",
     damaged_parts},
    {"linear.unpack", "ext/linear.h: unpack", "the stored form comes back bit for bit", unpack}};

}  // namespace

std::span<const Rule> linear_rules() {
  return kRules;
}

}  // namespace precis::validate

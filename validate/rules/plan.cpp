// Plans: what the host allocates, it allocates from them.
#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "core/abi/views.h"
#include "validate/rules/rule.h"
#include "validate/subject/machine.h"
#include "validate/subject/older_host.h"

namespace precis::validate {
namespace {

constexpr std::size_t kTail = 64;  // bytes behind a struct that the callee does not know of
constexpr unsigned char kUntouched = 0xd3;

// Room for a plan as a later host would give it: every struct with unknown bytes behind it.
class PlanRoom {
 public:
  explicit PlanRoom(uint32_t capacity) : capacity_(capacity) {
    plan_memory_.assign(sizeof(precis_plan) + kTail, kUntouched);
    for (uint32_t i = 0; i < capacity; ++i) {
      spec_memory_.emplace_back(sizeof(precis_tensor_spec) + kTail, kUntouched);
      const auto size = static_cast<uint32_t>(spec_memory_.back().size());
      std::memcpy(spec_memory_.back().data(), &size, sizeof size);
      specs_.push_back(reinterpret_cast<precis_tensor_spec*>(spec_memory_.back().data()));
    }
    *plan() = {static_cast<uint32_t>(plan_memory_.size()), 0, specs_.data(), capacity, 0, 0};
  }
  precis_plan* plan() { return reinterpret_cast<precis_plan*>(plan_memory_.data()); }
  const precis_tensor_spec& spec(uint32_t index) const { return *specs_[index]; }

  // Whether what is not the callee's is as it was; `count` outputs are.
  bool untouched(uint32_t count) {
    const auto tail_is = [](const std::vector<unsigned char>& memory, std::size_t from) {
      return std::all_of(memory.begin() + static_cast<std::ptrdiff_t>(from), memory.end(),
                         [](unsigned char byte) { return byte == kUntouched; });
    };
    bool same = tail_is(plan_memory_, sizeof(precis_plan)) &&
                plan()->struct_size == plan_memory_.size() && plan()->capacity == capacity_ &&
                plan()->outputs == specs_.data();
    for (uint32_t i = 0; i < capacity_; ++i) {
      const std::size_t from = i < count ? sizeof(precis_tensor_spec) : sizeof(uint32_t);
      same = same && tail_is(spec_memory_[i], from) &&
             specs_[i]->struct_size == spec_memory_[i].size();
    }
    return same;
  }

 private:
  uint32_t capacity_;
  std::vector<unsigned char> plan_memory_;
  std::vector<std::vector<unsigned char>> spec_memory_;
  std::vector<precis_tensor_spec*> specs_;
};

precis_status ask(const Instance& instance, const Param& param, PlanRoom& room,
                  precis_device device = kCpuDevice) {
  const RecordedCall call;
  const HostParam abi(param);
  return instance.quantize().plan(instance.handle(), call.abi(), device, abi.get(), room.plan());
}

bool same_plans(const PartPlan& a, const PartPlan& b) {
  if (a.workspace_bytes != b.workspace_bytes || a.parts.size() != b.parts.size()) return false;
  for (std::size_t i = 0; i < a.parts.size(); ++i) {
    const PartSpec &x = a.parts[i], &y = b.parts[i];
    if (x.name != y.name || x.dtype != y.dtype || x.shape != y.shape || x.nbytes != y.nbytes ||
        x.encoding != y.encoding)
      return false;
  }
  return true;
}

Verdict pure(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(const PartPlan again, plan_of(instance, weight.param));
    if (!same_plans(weight.plan, again)) return violation("planned twice it gives two plans");
    return {};
  });
}

// Nothing may grow a weight to more than this, whatever the method.
constexpr uint64_t kMostBytesOfAnElement = 16, kMostBytesBeside = 1 << 20;

Verdict check_part(const PartSpec& part, uint64_t elements) {
  uint64_t count = 1;
  for (const int64_t size : part.shape) {
    if (size < 0 || (size > 0 && count > (uint64_t{1} << 56) / static_cast<uint64_t>(size)))
      return violation("'{}' has the shape [{}]", part.name, fmt::join(part.shape, ", "));
    count *= static_cast<uint64_t>(size);
  }
  const auto bytes = dtype_bytes(part.dtype, count);
  if (part.encoding.empty() && bytes != part.nbytes)
    return violation("'{}' is {} [{}], which is {} bytes; nbytes says {}", part.name,
                     dtype_name(part.dtype), fmt::join(part.shape, ", "), bytes.value_or(0),
                     part.nbytes);
  if (part.nbytes > elements * kMostBytesOfAnElement + kMostBytesBeside)
    return violation("'{}' takes {} bytes for {} elements", part.name, part.nbytes, elements);
  return {};
}

Verdict sizes(Subject& subject) {
  return for_each_weight(subject, [](const Instance&, const Weight& weight) -> Verdict {
    const uint64_t elements = weight.param.elements();
    std::set<std::string> names;
    if (weight.plan.parts.empty()) return violation("the plan has no tensor");
    for (const PartSpec& part : weight.plan.parts) {
      if (Verdict verdict = check_part(part, elements); verdict.kind() != Verdict::Kind::passed)
        return verdict;
      if (!names.insert(part.name).second)
        return violation("two tensors are called '{}'", part.name);
    }
    if (weight.plan.workspace_bytes > elements * 64 + (64 << 20))
      return violation("it asks for {} bytes of workspace for {} elements",
                       weight.plan.workspace_bytes, elements);
    return {};
  });
}

Verdict capacity(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    const auto needed = static_cast<uint32_t>(weight.plan.parts.size());
    for (uint32_t room_for = 0; room_for < needed; ++room_for) {
      PlanRoom room(room_for);
      const precis_status status = ask(instance, weight.param, room);
      if (status != PRECIS_INVALID_ARGUMENT || room.plan()->count != needed)
        return violation(
            "with room for {} of {} tensors it gives status {} and count {}; it must "
            "give PRECIS_INVALID_ARGUMENT and count {}",
            room_for, needed, status, room.plan()->count, needed);
    }
    return {};
  });
}

Verdict struct_size(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    const auto needed = static_cast<uint32_t>(weight.plan.parts.size());
    PlanRoom room(needed + 3);
    if (ask(instance, weight.param, room) != PRECIS_OK)
      return violation("it refuses room to spare");
    if (room.untouched(needed)) return {};
    return violation(
        "it writes what is the host's: struct_size, room behind the last tensor, or "
        "members of a later minor");
  });
}

Verdict names(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    const auto needed = static_cast<uint32_t>(weight.plan.parts.size());
    PlanRoom room(needed);
    // The parameter's name in memory that is gone after the call.
    GuardedMemory name(weight.param.name.size(), Guard::slack, std::byte{0}, 1);
    std::memcpy(name.bytes().data(), weight.param.name.data(), weight.param.name.size());
    const AbiParam original(weight.param);
    precis_param param = *original.get();
    param.name = {reinterpret_cast<const char*>(name.bytes().data()), name.bytes().size()};
    const RecordedCall call;
    PRECIS_TRY(call.finish(
        instance.quantize().plan(instance.handle(), call.abi(), kCpuDevice, &param, room.plan())));
    std::memset(name.bytes().data(), '?', name.bytes().size());
    (void)plan_of(instance, linear_param(DType::f32, {256, 512}));
    for (uint32_t i = 0; i < needed; ++i) {
      if (from_abi(room.spec(i).name) != weight.plan.parts[i].name)
        return violation("the name of tensor {} does not live as long as the quantizer", i);
    }
    return {};
  });
}

Verdict refusal(Subject& subject) {
  return for_each_preset(subject, [](const Preset&, const Instance& instance) -> Verdict {
    const std::vector<std::vector<int64_t>> shapes = {
        {},       {256},    {1, 1},   {3, 5},         {128, 100},
        {7, 256}, {0, 256}, {128, 0}, {2, 3, 64, 64}, {int64_t{1} << 40, int64_t{1} << 20}};
    for (const DType dtype : {DType::f32, DType::bf16, DType::i8, DType::c64, DType::f8_e4m3fn}) {
      for (const auto& shape : shapes) {
        Param param = linear_param(dtype, shape);
        doing(fmt::format("plan of {} [{}]", dtype_name(dtype), fmt::join(shape, ", ")));
        PlanRoom room(64);
        const precis_status status = ask(instance, param, room);
        if (status == PRECIS_OK || status == PRECIS_UNSUPPORTED ||
            status == PRECIS_FAILED_PRECONDITION)
          continue;
        return violation(
            "the plan of {} [{}] gives status {}, where PRECIS_UNSUPPORTED says that "
            "a weight does not fit",
            dtype_name(dtype), fmt::join(shape, ", "), status);
      }
    }
    return {};
  });
}

bool lists(const precis_method& method, int32_t device_type) {
  return std::any_of(method.devices, method.devices + method.device_count,
                     [&](const precis_device& device) { return device.type == device_type; });
}

// A listed device may be refused all the same: it may be missing, or too old.
Verdict device(Subject& subject) {
  return for_each_weight(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    constexpr int32_t kTypes[] = {PRECIS_DEVICE_CUDA, PRECIS_DEVICE_ROCM,
                                  9999};  // the last nobody's
    for (const int32_t type : kTypes) {
      if (lists(instance.method(), type)) continue;
      PlanRoom room(64);
      const precis_status status = ask(instance, weight.param, room, {type, 0});
      if (status != PRECIS_UNSUPPORTED)
        return violation(
            "the plan for a device of type {}, which the method does not list, gives status {}",
            type, status);
    }
    return {};
  });
}

// What a method answered to plans for the devices of one type.
struct DeviceAnswer {
  bool accepted = false;
  std::string refusal;
};

// A preset may have no kernels, and a device of several may be too old: one plan of the method has
// to be accepted.
Verdict listed_device(Subject& subject) {
  std::map<std::pair<std::string, int32_t>, DeviceAnswer> answers;
  const Verdict asked =
      for_each_preset(subject, [&](const Preset&, const Instance& instance) -> Verdict {
        const auto weight = fitting_weight(instance);
        if (!weight) return {};
        for (const int32_t type : {PRECIS_DEVICE_CUDA, PRECIS_DEVICE_ROCM}) {
          const uint32_t count = lists(instance.method(), type) ? devices_here(type) : 0;
          for (uint32_t index = 0; index < count; ++index) {
            DeviceAnswer& answer = answers[{instance.method().id, type}];
            PlanRoom room(64);
            const RecordedCall call;
            const HostParam param(weight->param);
            const Status planned = call.finish(instance.quantize().plan(
                instance.handle(), call.abi(), {type, static_cast<int32_t>(index)}, param.get(),
                room.plan()));
            answer.accepted |= planned.ok();
            if (!planned.ok()) answer.refusal = planned.error().message();
          }
        }
        return {};
      });
  if (asked.kind() != Verdict::Kind::passed) return asked;
  if (answers.empty()) return Verdict::skip("no method lists a device that this machine has");
  for (const auto& [method, answer] : answers) {
    if (!answer.accepted)
      return violation(
          "method {} lists devices of type {}, and no preset plans for one of those "
          "here: {}",
          method.first, method.second, answer.refusal);
  }
  return {};
}

constexpr Rule kRules[] = {
    {"plan.sizes", "ext/quantize.h: plan",
     "names, dtypes, shapes and bytes of a plan agree with each other", sizes, true},
    {"plan.capacity", "tensor.h: precis_plan",
     "too little room gives PRECIS_INVALID_ARGUMENT and the count it needs", capacity, true},
    {"plan.pure", "ext/quantize.h: plan", "the same parameter gives the same plan", pure, true},
    {"plan.struct-size", "R3", "it writes inside the structs, as large as the host says they are",
     struct_size},
    {"plan.names", "tensor.h: precis_plan", "names of a plan live as long as the quantizer", names},
    {"plan.refusal", "ext/quantize.h: plan",
     "a parameter that does not fit is refused as unsupported", refusal},
    {"plan.device", "ext/quantize.h: plan", "a device that the method does not list is refused",
     device},
    {"plan.listed-device", "D6", "a device that the method lists, and that is here, is planned for",
     listed_device}};

}  // namespace

std::span<const Rule> plan_rules() {
  return kRules;
}

}  // namespace precis::validate

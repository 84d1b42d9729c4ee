// What a loader asks: how weights are kept, and which of a checkpoint are quantized.
#include <algorithm>

#include "core/abi/call.h"
#include "core/abi/views.h"
#include "validate/rules/rule.h"
#include "validate/subject/older_host.h"
#include "validate/subject/stored.h"

namespace precis::validate {
namespace {

using Parts = std::vector<std::vector<std::byte>>;

// For every weight of a method with precis.loading/1.
Verdict for_each_stored(const Subject& subject,
                        const std::function<Verdict(const Instance&, const Weight&)>& test) {
  return for_each_readable(subject, [&](const Instance& instance, const Weight& weight) -> Verdict {
    if (instance.loading() == nullptr) return Verdict::skip("it has no precis.loading/1");
    return test(instance, weight);
  });
}

// Asks `check` whether these can be the weight's parts.
precis_status check_parts(const Instance& instance, const Weight& weight,
                          std::span<const PartSpec> parts) {
  std::vector<precis_tensor_info> infos(parts.size());
  std::vector<const precis_tensor_info*> pointers;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const PartSpec& part = parts[i];
    infos[i].struct_size = sizeof infos[i];
    infos[i].name = to_abi(part.name);
    infos[i].dtype = to_abi(part.dtype);
    infos[i].ndim = static_cast<int32_t>(part.shape.size());
    infos[i].shape = part.shape.data();
    infos[i].nbytes = part.nbytes;
    infos[i].encoding = part.encoding.empty() ? nullptr : part.encoding.c_str();
    pointers.push_back(&infos[i]);
  }
  const HostParam param(weight.param);
  const RecordedCall call;
  return instance.loading()->check(instance.handle(), call.abi(), param.get(), pointers.data(),
                                   parts.size());
}

// Of a stored weight, the bytes of the parts that `check` takes in one size alone: how large others
// are, outliers and the like, the checkpoint tells and no shape.
uint64_t told_bytes(const Instance& instance, const Weight& weight) {
  uint64_t bytes = 0;
  for (std::size_t i = 0; i < weight.plan.parts.size(); ++i) {
    std::vector<PartSpec> parts = weight.plan.parts;
    const uint64_t stored = parts[i].nbytes;
    if (!parts[i].shape.empty()) {
      parts[i].shape.front() += 1;
      parts[i].nbytes +=
          stored / static_cast<uint64_t>(std::max<int64_t>(weight.plan.parts[i].shape.front(), 1));
    }
    const bool told = parts[i].shape.empty() || check_parts(instance, weight, parts) != PRECIS_OK;
    if (told) bytes += stored;
  }
  return bytes;
}

// Texts that describe a weight to a loader are not kept in memory. A checkpoint may lack what
// others of its method have, which storage cannot know.
Status compare_bytes(const Instance& instance, const Weight& weight, uint64_t said) {
  if (weight.stored != nullptr) {
    const uint64_t told = told_bytes(instance, weight);
    if (said >= told - told / 20) return {};
    return violation("storage says {} bytes, the parts that a shape tells have {}", said, told);
  }
  uint64_t planned = 0;
  for (const PartSpec& part : weight.plan.parts) planned += part.nbytes;
  if (said <= planned && said >= planned - planned / 20) return {};
  return violation("storage says {} bytes, the plan {}", said, planned);
}

Verdict storage(Subject& subject) {
  return for_each_stored(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    precis_storage out{};
    out.struct_size = sizeof out;
    const HostParam param(weight.param);
    const RecordedCall call;
    PRECIS_TRY(
        call.finish(instance.loading()->storage(instance.handle(), call.abi(), param.get(), &out)));
    if (out.keep != 0) return violation("the weight of a Linear is kept: {}", from_abi(out.reason));
    PRECIS_TRY(compare_bytes(instance, weight, out.bytes));
    Param other = weight.param;
    other.name = "norm.weight";
    other.module_kind = "LayerNorm";
    other.shape = {256};
    const HostParam kept(other);
    const RecordedCall again;
    out = {};
    out.struct_size = sizeof out;
    PRECIS_TRY(again.finish(
        instance.loading()->storage(instance.handle(), again.abi(), kept.get(), &out)));
    if (out.keep == 0) return violation("the weight of a LayerNorm is quantized");
    if (out.reason.size == 0) return violation("a weight is kept without a reason");
    return {};
  });
}

Verdict finds(Subject& subject) {
  return for_each_stored(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    const PartSpec& first = weight.plan.parts[0];
    if (weight.plan.parts.size() == 1 && first.encoding.empty() && is_floating(first.dtype))
      return Verdict::skip("what it writes are plain numbers");
    PRECIS_ASSIGN(const Parts parts, encoded_parts(instance, weight));
    PRECIS_ASSIGN(const std::vector<float> want, decoded_numbers(instance, weight, parts));
    StoredCheckpoint checkpoint(weight, parts);
    PRECIS_ASSIGN(const auto found, checkpoint.find(instance));
    if (found.size() != 1 || found[0].param.name != weight.param.name)
      return violation("in a checkpoint with {} it finds {} weights", weight.param.name,
                       found.size());
    if (found[0].param.shape_known && found[0].param.shape != weight.param.shape)
      return violation("it finds the shape [{}], it was [{}]",
                       fmt::join(found[0].param.shape, ", "), fmt::join(weight.param.shape, ", "));
    Weight read = weight;
    Parts read_parts;
    read.param.dtype = found[0].param.dtype;
    read.plan.parts.clear();
    for (const uint64_t index : found[0].parts) {
      if (index >= checkpoint.tensors.size()) return violation("it emits the part {}", index);
      read.plan.parts.push_back(checkpoint.tensors[index]);
      read_parts.push_back(checkpoint.bytes[index]);
    }
    doing("dequantize of the parts it found");
    PRECIS_ASSIGN(const std::vector<float> got, decoded_numbers(instance, read, read_parts));
    if (relative_error(got, want) > 0.01)
      return violation("the parts that it finds decode to other numbers");
    return {};
  });
}

Verdict check(Subject& subject) {
  return for_each_stored(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    if (check_parts(instance, weight, weight.plan.parts) != PRECIS_OK)
      return violation("it refuses the parts that it planned");
    doing("check without parts");
    if (check_parts(instance, weight, {}) == PRECIS_OK)
      return violation("it takes a weight without parts");
    return {};
  });
}

Verdict damaged_checkpoints(Subject& subject) {
  return for_each_stored(subject, [](const Instance& instance, const Weight& weight) -> Verdict {
    PRECIS_ASSIGN(const Parts parts, encoded_parts(instance, weight));
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const std::string name = weight.plan.parts[i].name;
      const auto damage = [&](std::string_view how, const auto& change) {
        StoredCheckpoint checkpoint(weight, parts);
        change(checkpoint);
        doing(fmt::format("reading a checkpoint with '{}' {}", name, how));
        checkpoint.decode_findings(instance);
      };
      const auto resize = [i](StoredCheckpoint& checkpoint, std::vector<int64_t> shape) {
        PartSpec& tensor = checkpoint.tensors[i];
        uint64_t count = 1;
        for (const int64_t size : shape) count *= static_cast<uint64_t>(size);
        tensor.shape = std::move(shape);
        tensor.nbytes = count * dtype_bits(tensor.dtype) / 8;
        checkpoint.bytes[i].resize(tensor.nbytes);
      };
      damage("left out", [&](StoredCheckpoint& checkpoint) {
        checkpoint.tensors.erase(checkpoint.tensors.begin() + static_cast<std::ptrdiff_t>(i));
        checkpoint.bytes.erase(checkpoint.bytes.begin() + static_cast<std::ptrdiff_t>(i));
      });
      damage("empty", [&](StoredCheckpoint& checkpoint) { resize(checkpoint, {0}); });
      damage("of no dimension", [&](StoredCheckpoint& checkpoint) { resize(checkpoint, {}); });
      damage("of five dimensions", [&](StoredCheckpoint& checkpoint) {
        resize(checkpoint, {1, 2, 3, 2, 1});
      });
      damage("of another dtype", [&](StoredCheckpoint& checkpoint) {
        checkpoint.tensors[i].dtype = DType::i64;
        resize(checkpoint, weight.plan.parts[i].shape);
      });
    }
    return {};
  });
}

Verdict keys(Subject& subject) {
  return for_each_stored(subject, [](const Instance& instance, const Weight&) -> Verdict {
    const std::vector<std::string> given{"layer.weight", "layer.bias", "norm.weight"};
    std::vector<precis_str> abi;
    for (const std::string& key : given) abi.push_back(to_abi(key));
    std::vector<std::string> out;
    const precis_key_sink sink{
        &out, [](void* ctx, precis_str key) {
          static_cast<std::vector<std::string>*>(ctx)->emplace_back(from_abi(key));
        }};
    const RecordedCall call;
    PRECIS_TRY(call.finish(instance.loading()->rewrite_keys(instance.handle(), call.abi(), 9999,
                                                            abi.data(), abi.size(), &sink)));
    if (out == given) return {};
    return violation("rewrite_keys changes a set of keys that it does not know");
  });
}

Verdict device_map(Subject& subject) {
  return for_each_stored(subject, [](const Instance& instance, const Weight&) -> Verdict {
    for (const std::string map : {"null", "\"auto\"", R"({"": "cpu"})"}) {
      std::string out;
      const precis_sink sink = string_sink(out);
      const RecordedCall call;
      const precis_status status =
          instance.loading()->device_map(instance.handle(), call.abi(), to_abi(map), &sink);
      if (status == PRECIS_OK && nlohmann::json::parse(out, nullptr, false).is_discarded())
        return violation("for the device map {} it writes '{}', which is no JSON", map, out);
    }
    return {};
  });
}

constexpr Rule kRules[] = {
    {"loading.storage", "ext/loading.h: storage",
     "bytes are within 5 % of the plan's, of a stored weight as far as a shape tells its parts; "
     "what "
     "is kept has a reason",
     storage},
    {"loading.finds", "ext/loading.h: quantized_params",
     "what it wrote it finds again, with the parts in the order that dequantize takes", finds},
    {"loading.check", "ext/loading.h: check", "its own parts are right, none are not", check},
    {"loading.damaged-checkpoints", "ext/loading.h: quantized_params",
     "a checkpoint with missing, misshapen or mistyped tensors ends no process",
     damaged_checkpoints},
    {"loading.keys", "R5", "rewrite_keys emits sets that it does not know unchanged", keys},
    {"loading.device-map", "ext/loading.h: device_map", "JSON comes out as JSON went in",
     device_map}};

}  // namespace

std::span<const Rule> loading_rules() {
  return kRules;
}

}  // namespace precis::validate

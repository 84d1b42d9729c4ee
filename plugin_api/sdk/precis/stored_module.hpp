// The tensors of one module of a checkpoint, by their names.
#ifndef PRECIS_SDK_STORED_MODULE_HPP
#define PRECIS_SDK_STORED_MODULE_HPP

#include <precis/precis.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "error.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

// A weight as the tensors of a checkpoint tell it.
struct StoredWeight {
  precis_dtype dtype;
  std::vector<int64_t> shape;
};

// The tensors of one module of a checkpoint.
class StoredModule {
 public:
  StoredModule(const precis_state_dict& state_dict, std::string module)
      : state_dict_(&state_dict), module_(std::move(module)) {}

  const std::string& name() const { return module_; }
  std::string key(std::string_view part) const {
    return module_.empty() ? std::string(part) : module_ + "." + std::string(part);
  }
  // -1: there is none.
  int64_t index(std::string_view part) const {
    const std::string name = key(part);
    return state_dict_->find(state_dict_, str(name));
  }
  // Null: there is none.
  const precis_tensor_info* find(std::string_view part) const {
    const int64_t found = index(part);
    return found < 0 ? nullptr : state_dict_->info(state_dict_, static_cast<uint64_t>(found));
  }
  // Throws PRECIS_DATA_LOSS when the tensor is absent or has fewer dimensions than `ndim`.
  const precis_tensor_info& at(std::string_view part, int32_t ndim = 0) const {
    const precis_tensor_info* found = find(part);
    if (found == nullptr) throw PluginError(PRECIS_DATA_LOSS, "'" + key(part) + "' is missing");
    if (found->ndim < ndim) {
      throw PluginError(PRECIS_DATA_LOSS, "'" + key(part) + "' has " + std::to_string(found->ndim) +
                                              " dimensions, it must have " + std::to_string(ndim));
    }
    return *found;
  }
  // The bytes of a small tensor that describes others. Throws PRECIS_DATA_LOSS when it is absent,
  // larger than `most` bytes or cannot be read.
  std::string bytes(std::string_view part, uint64_t most = 4096) const {
    std::string content;
    const precis_sink sink{&content, [](void* ctx, const char* data, uint64_t size) {
                             static_cast<std::string*>(ctx)->append(data, size);
                           }};
    if (at(part).nbytes > most ||
        state_dict_->read(state_dict_, static_cast<uint64_t>(index(part)), &sink) != PRECIS_OK) {
      throw PluginError(PRECIS_DATA_LOSS, "'" + key(part) + "' cannot be read");
    }
    return content;
  }
  // The numbers of such a tensor, which is int64 or int32.
  std::vector<int64_t> integers(std::string_view part) const {
    const precis_dtype dtype = at(part).dtype;
    const bool wide = dtype.bits == 64;
    if (dtype.code != PRECIS_TYPE_INT || (!wide && dtype.bits != 32))
      throw PluginError(PRECIS_DATA_LOSS, "'" + key(part) + "' must be int64 or int32");
    const std::string content = bytes(part);
    const std::size_t size = wide ? sizeof(int64_t) : sizeof(int32_t);
    std::vector<int64_t> numbers;
    for (std::size_t at = 0; at + size <= content.size(); at += size) {
      int64_t number = 0;
      int32_t narrow = 0;
      std::memcpy(wide ? static_cast<void*>(&number) : &narrow, content.data() + at, size);
      numbers.push_back(wide ? number : narrow);
    }
    return numbers;
  }

 private:
  const precis_state_dict* state_dict_;
  std::string module_;
};

// Calls body(module) for each module that has a tensor with the name of an anchor, once: the first
// of the anchors that it has tells.
template <typename Body>
void for_modules(const precis_state_dict& state_dict, const std::vector<std::string_view>& anchors,
                 Body body) {
  for (uint64_t i = 0; i < state_dict.count; ++i) {
    const std::string_view name = view(state_dict.info(&state_dict, i)->name);
    for (auto anchor = anchors.begin(); anchor != anchors.end(); ++anchor) {
      const bool inner = name.size() > anchor->size() + 1 &&
                         name[name.size() - anchor->size() - 1] == '.' &&
                         name.substr(name.size() - anchor->size()) == *anchor;
      if (!inner && name != *anchor) continue;
      const StoredModule module(state_dict,
                                std::string(inner ? name.substr(0, name.size() - anchor->size() - 1)
                                                  : std::string_view()));
      const bool told = std::any_of(anchors.begin(), anchor, [&](std::string_view earlier) {
        return module.find(earlier) != nullptr;
      });
      if (!told) body(module);
    }
  }
}

PRECIS_SDK_NAMESPACE_END

#endif

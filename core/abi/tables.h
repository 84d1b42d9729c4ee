// What the host does about tables that a plugin lacks or left incomplete (rules R8 and R9).
#pragma once

#include <string_view>

#include "core/base/result.h"
#include "precis/precis.h"

namespace precis {

// Whether one of the pointers that a table of functions consists of is null.
bool has_null_member(const void* table, std::size_t size);

// Error plugin when `table` is there but has a null member. `owner`: whose it is, such as "plugin
// x: method y"; `id`: the table's.
template <typename Table>
Status check_table(const Table* table, std::string_view owner, std::string_view id);
Status incomplete_table(std::string_view owner, std::string_view id);

template <typename Table>
Status check_table(const Table* table, std::string_view owner, std::string_view id) {
  if (table == nullptr || !has_null_member(table, sizeof(Table))) return {};
  return incomplete_table(owner, id);
}

// What a method without precis.loading/1 is taken to say: the weights of Linear layers are
// quantized, everything else is as the loader has it; stored weights of it cannot be found.
const precis_loading_v1& default_loading();

}  // namespace precis

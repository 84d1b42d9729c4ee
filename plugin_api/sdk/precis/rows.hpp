// The rows of a weight, in pieces on the host's threads.
#ifndef PRECIS_SDK_ROWS_HPP
#define PRECIS_SDK_ROWS_HPP

#include <precis/precis.h>

#include <algorithm>
#include <cstdint>

#include "host.hpp"
#include "tensor.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

// Rows [begin, end) of a weight.
struct RowRange {
  uint64_t begin = 0, end = 0;
  uint64_t count() const { return end - begin; }
};

// The rows of `param` that `weight` holds, from row_begin on. Throws PRECIS_INVALID_ARGUMENT where
// the parameter has no such rows.
inline RowRange rows_of(const precis_param& param, int64_t row_begin, const precis_tensor& weight) {
  const auto begin = static_cast<uint64_t>(row_begin);
  const RowRange rows{
      begin, begin + (weight.view.ndim == 0 ? 1 : static_cast<uint64_t>(weight.view.shape[0]))};
  if (row_begin < 0 || rows.end > matrix(param).rows)
    throw PluginError(PRECIS_INVALID_ARGUMENT, "the rows are outside of the weight");
  return rows;
}

// Work on the rows of a weight on the host's threads: body(RowRange), about 64 Ki elements at once,
// or multiples of `together` rows. Cancels when asked to.
template <typename Body>
void for_rows(const precis_call& call, const Matrix& matrix, uint64_t together, Body&& body) {
  constexpr uint64_t kElementsAtOnce = 64 << 10;
  const uint64_t pieces = (matrix.rows + together - 1) / together;
  const uint64_t grain = 1 + kElementsAtOnce / (matrix.columns * together + 1);
  Host::get().parallel_for(pieces, grain, [&](uint64_t begin, uint64_t end) {
    poll(&call, static_cast<double>(begin) / static_cast<double>(pieces));
    body(RowRange{begin * together, std::min(end * together, matrix.rows)});
  });
}

PRECIS_SDK_NAMESPACE_END

#endif

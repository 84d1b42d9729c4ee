// What ModelOpt's algorithms store.
#pragma once

#include "kernels/cpu/scaled/scaled.h"
#include "plugins/modelopt/config.h"

namespace precis::modelopt {

struct Form {
  kernels::NarrowType type;
  int bits;
  precis_dtype codes;
  uint64_t tile_rows, tile_columns;  // 0: the whole side
  kernels::ScaleRule rule;
  bool in_groups = false;   // no group of columns is smaller than the others
  float whole_divisor = 0;  // the scale of scales is absmax over this; 0: there is none
  bool in_float8 = false;   // values are rounded to float8 with a scale of their own
};

// Throws PRECIS_UNSUPPORTED for what is not read.
Form form_of(const Scheme& scheme);

// What the exporter says of the scheme in "config_groups"; null: nothing.
sdk::Json config_group(const Scheme& scheme);

}  // namespace precis::modelopt

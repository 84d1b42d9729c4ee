#include "plugins/nunchaku/orders.h"

namespace precis::nunchaku {

uint64_t weight_place(uint64_t columns, uint64_t n, uint64_t k) {
  uint64_t place = n / 128 * (columns / 64) + k / 64;
  place = place * 8 + n % 128 / 16;
  place = place * 8 + n % 8;
  place = place * 4 + k % 32 / 8;
  place = place * 2 + n % 16 / 8;
  place = place * 2 + k % 64 / 32;
  return place * 8 + k % 8;
}

uint64_t scale_place(uint64_t groups, uint64_t n, uint64_t group) {
  uint64_t place = n / 128 * groups + group;
  place = place * 8 + n % 128 / 16;
  place = place * 4 + n % 8 / 2;
  return place * 4 + n % 16 / 8 * 2 + n % 2;
}

uint64_t micro_scale_place(uint64_t groups, uint64_t n, uint64_t group) {
  uint64_t place = n / 128 * (groups / 4) + group / 4;
  place = place * 8 + n % 8;
  place = place * 4 + n % 32 / 8;
  return place * 16 + n % 128 / 32 * 4 + group % 4;
}

uint64_t down_place(uint64_t rank, uint64_t k, uint64_t r) {
  uint64_t place = k / 16 * (rank / 16) + r / 16;
  place = place * 8 + r % 8;
  place = place * 4 + k % 8 / 2;
  place = place * 2 + r % 16 / 8;
  return place * 4 + k % 16 / 8 * 2 + k % 2;
}

uint64_t up_place(uint64_t rank, uint64_t n, uint64_t r) {
  uint64_t place = n / 16 * (rank / 16) + r / 16;
  place = place * 8 + n % 8;
  place = place * 4 + r % 8 / 2;
  place = place * 2 + n % 16 / 8;
  return place * 4 + r % 16 / 8 * 2 + r % 2;
}

uint64_t awq_place(uint64_t columns, uint64_t n, uint64_t k) {
  const uint64_t word =
      (n / 4 * (columns / 64) + k / 64) * 64 + n % 4 * 16 + k % 64 / 32 * 8 + k % 8;
  return word * 4 + k % 32 / 8;
}

}  // namespace precis::nunchaku

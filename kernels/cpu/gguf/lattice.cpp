#include "kernels/cpu/gguf/lattice.h"

#include <algorithm>
#include <array>
#include <mutex>

namespace precis::kernels {
namespace {

// How many distances the neighbours of a point may have.
int distance_count(LatticeName name) {
  switch (name) {
    case LatticeName::iq2_s:
      return 1;
    case LatticeName::iq2_xxs:
    case LatticeName::iq2_xs:
    case LatticeName::iq3_xxs:
      return 2;
    case LatticeName::iq1:
    case LatticeName::iq3_s:
      return 3;
  }
  return 1;
}

class Builder {
 public:
  Builder(const PackedGrid& grid, int distances) : distances_(distances), count_(grid.count) {
    made_.elements = grid.elements;
    made_.level_bits = grid.level_bits;
    const uint32_t points = 1u << (made_.elements * made_.level_bits);
    constexpr int32_t kNone = -1;
    made_.at.assign(points, kNone);
    made_.levels.resize(count_ * elements());
    by_element_.resize(count_ * elements());
    for (uint32_t entry = 0; entry < count_; ++entry) {
      made_.at[grid.entries[entry]] = static_cast<int32_t>(entry);
      for (uint32_t e = 0; e < elements(); ++e) {
        const uint8_t level = level_of(grid.entries[entry], e);
        made_.levels[entry * elements() + e] = level;
        by_element_[e * count_ + entry] = level;
      }
    }
    distance_.resize(count_);
    for (uint32_t point = 0; point < points; ++point) {
      if (made_.at[point] == kNone && is_point(point)) add_list(point);
    }
  }

  Lattice take() { return std::move(made_); }

 private:
  uint32_t elements() const { return static_cast<uint32_t>(made_.elements); }

  uint8_t level_of(uint32_t point, uint32_t element) const {
    const auto bits = static_cast<uint32_t>(made_.level_bits);
    return static_cast<uint8_t>((point >> (bits * element)) & ((1u << bits) - 1));
  }

  // Two bits can say 3, which is no level.
  bool is_point(uint32_t point) const {
    return made_.level_bits == 3 || (point & (point >> 1) & 0x5555u) == 0;
  }

  // Squares of distances in levels: 8 * 2^2 or 4 * 7^2 at most.
  void measure(uint32_t point) {
    std::fill(distance_.begin(), distance_.end(), uint8_t{0});
    for (uint32_t e = 0; e < elements(); ++e) {
      const int level = level_of(point, e);
      const uint8_t* levels = by_element_.data() + e * count_;
      for (uint32_t entry = 0; entry < count_; ++entry) {
        const int difference = levels[entry] - level;
        distance_[entry] = static_cast<uint8_t>(distance_[entry] + difference * difference);
      }
    }
  }

  void add_list(uint32_t point) {
    measure(point);
    std::array<bool, 256> occurs{};
    for (const uint8_t distance : distance_) occurs[distance] = true;
    const auto begin = static_cast<uint32_t>(made_.neighbours.size());
    int found = 0;
    for (uint32_t distance = 0; distance < occurs.size() && found < distances_; ++distance) {
      if (!occurs[distance]) continue;
      ++found;
      for (uint32_t entry = 0; entry < count_; ++entry) {
        if (distance_[entry] == distance) made_.neighbours.push_back(static_cast<uint16_t>(entry));
      }
    }
    while (made_.neighbours.size() % Lattice::kLanes != 0)
      made_.neighbours.push_back(made_.neighbours.back());
    const auto end = static_cast<uint32_t>(made_.neighbours.size());
    for (uint32_t first = begin; first < end; first += Lattice::kLanes) {
      for (uint32_t e = 0; e < elements(); ++e) {
        for (uint32_t lane = 0; lane < Lattice::kLanes; ++lane) {
          made_.neighbour_levels.push_back(
              made_.levels[made_.neighbours[first + lane] * elements() + e]);
        }
      }
    }
    made_.at[point] = -1 - static_cast<int32_t>(made_.lists.size());
    made_.lists.push_back({begin, end - begin});
  }

  Lattice made_;
  int distances_;
  uint32_t count_;
  std::vector<uint8_t> by_element_;  // levels of element e from e * count_ on
  std::vector<uint8_t> distance_;    // of each entry from the point at hand
};

}  // namespace

const Lattice& lattice(LatticeName name) {
  static std::array<std::once_flag, kLatticeCount> once;
  static auto* const made = new std::array<Lattice, kLatticeCount>();
  const auto place = static_cast<std::size_t>(name);
  std::call_once(once[place],
                 [&] { (*made)[place] = Builder(packed_grid(name), distance_count(name)).take(); });
  return (*made)[place];
}

}  // namespace precis::kernels

// Counts the sectors of global memory and the bank cycles of shared memory that warps ask for.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "kernels/simt/trace.h"

namespace precis::simt {

class Traffic {
 public:
  void access(uint32_t thread, uintptr_t at, size_t bytes, bool write, bool shared,
              const void* program_counter);
  // Adds what the block did to the report.
  void end_block(TraceReport& report);

 private:
  // The n-th time that a warp's lanes come to an instruction is one request.
  struct RequestKey {
    const void* program_counter;
    uint32_t repetition, warp;
    bool operator==(const RequestKey&) const = default;
  };
  struct RequestHash {
    size_t operator()(const RequestKey& key) const;
  };
  struct LaneAccess {
    uintptr_t at;
    uint8_t lane, bytes;
    bool write, shared;
  };
  using Lanes = std::vector<LaneAccess>;

  static void count_sectors(const Lanes& lanes, Site& site);
  static void count_bank_cycles(const Lanes& lanes, Site& site);
  Site& site_of(const void* program_counter, const LaneAccess& access, TraceReport& report);

  std::unordered_map<RequestKey, Lanes, RequestHash> requests_;
  std::vector<std::unordered_map<const void*, uint32_t>> repetitions_;  // by thread
  std::unordered_map<const void*, size_t> site_index_;
  std::unordered_set<uintptr_t> sectors_read_, sectors_written_;
};

}  // namespace precis::simt

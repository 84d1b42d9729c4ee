// Sees every memory access of the kernels that run.
//
// Compile the kernels with -fsanitize=thread, which makes the compiler call a function at every
// load and store, and link precis_simt_trace in place of the sanitizer's own library. One worker
// only. It finds, whatever the order of threads was:
//   races   two threads touch a byte, one of them writes, and nothing orders them: a block barrier
//           orders a block, a warp barrier its warp, nothing orders blocks of one launch
//   unset   shared memory is read that nobody wrote
//   sites   by place in the source: requests of a warp, the 32-byte sectors they move, the cycles
//           that shared memory's banks take, and the least that each could be
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace precis::simt {

// Accesses of one instruction.
struct Site {
  const void* program_counter = nullptr;
  bool shared = false, write = false;
  int bytes = 0;  // of one lane
  uint64_t requests = 0, lanes = 0;
  uint64_t sectors = 0, least_sectors = 0;          // global memory
  uint64_t bank_cycles = 0, least_bank_cycles = 0;  // shared memory

  std::string place() const;  // "gemv.h:61", by addr2line
};

struct TraceReport {
  std::vector<std::string> races, unset;  // as text, each with both places
  std::vector<Site> sites;
  uint64_t global_bytes_read = 0, global_bytes_written = 0;  // distinct sectors, times 32

  // All sectors moved by the least number that could have moved what the lanes asked for; bank
  // cycles likewise. 1 when there were none.
  double sectors_over_least() const;
  double bank_cycles_over_least() const;
  std::string table() const;
};

// Of the launches since trace_reset(), which also turns the tracer on.
const TraceReport& trace_report();
void trace_reset();

}  // namespace precis::simt

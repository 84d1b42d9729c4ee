// A test in a process of its own: whatever a plugin does there, the one that reports lives on.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "validate/verdict.h"

namespace precis::validate {

struct ChildResult {
  Verdict verdict;
  std::string output;  // the end of what it wrote to standard output and error
  double seconds = 0;
  uint64_t seed = 0;  // of the last note_seed()
};

// How a child leaves when its test is over.
enum class Leave { at_once, through_exit_handlers };

// Runs `test` in a forked child. A crash, an end of the process before the test was over, and more
// time than `timeout` are failures that name the last doing(). The calling process has one thread.
ChildResult run_in_child(const std::function<Verdict()>& test, std::chrono::seconds timeout,
                         Leave leave = Leave::at_once);

// Says what is about to be done, for the report of a crash or a hang. [any thread of a child]
void doing(std::string_view what);

// Says which seed is tried from now on.
void note_seed(uint64_t seed);

}  // namespace precis::validate

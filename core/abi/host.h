// The host's side of the ABI: the tables that plugins may ask for.
#pragma once

#include "core/base/thread_pool.h"
#include "precis/host.h"

namespace precis {

// What plugins are handed in precis_plugin_entry.init. Plugins are never unloaded and keep the
// pointer, so a Host lives as long as the process; so does its thread pool.
class Host {
 public:
  // `pool` runs the plugins' parallel_for and outlives the host.
  explicit Host(ThreadPool& pool);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  const precis_host& abi() const { return abi_; }
  ThreadPool& pool() const { return pool_; }

 private:
  ThreadPool& pool_;
  precis_host abi_;
};

// The host of this process, with a pool of `concurrency` threads (0: all processors). Made by the
// first call; later calls return the same one whatever they ask for. Never destroyed.
Host& process_host(unsigned concurrency = 0);

}  // namespace precis

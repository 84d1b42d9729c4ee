#include "kernels/simt/traffic.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

namespace precis::simt {
namespace {

constexpr uintptr_t kSector = 32, kBanks = 32, kBankBytes = 4;

double ratio(uint64_t a, uint64_t b) {
  return b == 0 ? 1.0 : static_cast<double>(a) / static_cast<double>(b);
}

}  // namespace

size_t Traffic::RequestHash::operator()(const RequestKey& key) const {
  return reinterpret_cast<size_t>(key.program_counter) * 31 + key.repetition * 1000003u +
         key.warp * 7919u;
}

void Traffic::access(uint32_t thread, uintptr_t at, size_t bytes, bool write, bool shared,
                     const void* program_counter) {
  if (!shared)
    for (uintptr_t sector = at / kSector; sector <= (at + bytes - 1) / kSector; ++sector)
      (write ? sectors_written_ : sectors_read_).insert(sector);
  if (repetitions_.size() <= thread) repetitions_.resize(thread + 1);
  const uint32_t repetition = repetitions_[thread][program_counter]++;
  requests_[{program_counter, repetition, thread / 32}].push_back(
      {at, static_cast<uint8_t>(thread % 32), static_cast<uint8_t>(bytes), write, shared});
}

Site& Traffic::site_of(const void* program_counter, const LaneAccess& access, TraceReport& report) {
  const auto [found, is_new] = site_index_.emplace(program_counter, report.sites.size());
  if (is_new) {
    Site site;
    site.program_counter = program_counter;
    site.shared = access.shared;
    site.write = access.write;
    site.bytes = access.bytes;
    report.sites.push_back(site);
  }
  return report.sites[found->second];
}

void Traffic::count_sectors(const Lanes& lanes, Site& site) {
  std::set<uintptr_t> sectors, bytes;
  for (const LaneAccess& lane : lanes) {
    for (uintptr_t byte = lane.at; byte < lane.at + lane.bytes; ++byte) {
      bytes.insert(byte);
      sectors.insert(byte / kSector);
    }
  }
  site.sectors += sectors.size();
  site.least_sectors += (bytes.size() + kSector - 1) / kSector;
}

// 32 banks of 4 bytes; accesses of 8 bytes go by half warps, those of 16 by quarters. Lanes that
// read the same word share it. The least is one cycle for each part of 128 bytes or less.
void Traffic::count_bank_cycles(const Lanes& lanes, Site& site) {
  const unsigned together = lanes.front().bytes <= 4 ? 32 : lanes.front().bytes == 8 ? 16 : 8;
  std::map<unsigned, std::map<uintptr_t, std::set<uintptr_t>>> words_of_bank;  // by part
  for (const LaneAccess& lane : lanes) {
    const uintptr_t last = (lane.at + lane.bytes - 1) / kBankBytes;
    for (uintptr_t word = lane.at / kBankBytes; word <= last; ++word)
      words_of_bank[lane.lane / together][word % kBanks].insert(word);
  }
  for (const auto& [part, banks] : words_of_bank) {
    size_t cycles = 1;
    for (const auto& [bank, words] : banks) cycles = std::max(cycles, words.size());
    site.bank_cycles += cycles;
    site.least_bank_cycles += 1;
  }
}

void Traffic::end_block(TraceReport& report) {
  for (const auto& [key, lanes] : requests_) {
    Site& site = site_of(key.program_counter, lanes.front(), report);
    ++site.requests;
    site.lanes += lanes.size();
    if (lanes.front().shared)
      count_bank_cycles(lanes, site);
    else
      count_sectors(lanes, site);
  }
  requests_.clear();
  repetitions_.clear();
  report.global_bytes_read = sectors_read_.size() * kSector;
  report.global_bytes_written = sectors_written_.size() * kSector;
}

double TraceReport::sectors_over_least() const {
  uint64_t moved = 0, least = 0;
  for (const Site& site : sites) moved += site.sectors, least += site.least_sectors;
  return ratio(moved, least);
}

double TraceReport::bank_cycles_over_least() const {
  uint64_t taken = 0, least = 0;
  for (const Site& site : sites) taken += site.bank_cycles, least += site.least_bank_cycles;
  return ratio(taken, least);
}

std::string TraceReport::table() const {
  std::string text;
  char line[256];
  for (const Site& site : sites) {
    std::snprintf(line, sizeof line,
                  "  %-28s %s %s %2d B %8lu requests, %4.1f lanes, %s %5.2f, least %5.2f\n",
                  site.place().c_str(), site.write ? "store" : "load ",
                  site.shared ? "shared" : "global", site.bytes,
                  static_cast<unsigned long>(site.requests), ratio(site.lanes, site.requests),
                  site.shared ? "bank cycles" : "sectors",
                  ratio(site.shared ? site.bank_cycles : site.sectors, site.requests),
                  ratio(site.shared ? site.least_bank_cycles : site.least_sectors, site.requests));
    text += line;
  }
  std::snprintf(line, sizeof line, "  distinct bytes: %lu read, %lu written\n",
                static_cast<unsigned long>(global_bytes_read),
                static_cast<unsigned long>(global_bytes_written));
  return text + line;
}

}  // namespace precis::simt

// The entry, and how both sides agree on a version.
#include <cstring>

#include "core/abi/call.h"
#include "core/abi/tables.h"
#include "validate/rules/rule.h"
#include "validate/subject/older_host.h"

namespace precis::validate {
namespace {

Verdict loads(Subject& subject) {
  PRECIS_TRY(subject.open());
  return {};
}

Verdict magic(Subject& subject) {
  PRECIS_ASSIGN(const auto* entry, subject.open());
  if (entry->magic == PRECIS_ENTRY_MAGIC) return {};
  return violation("magic is {:#x}, it must be PRECIS_ENTRY_MAGIC", entry->magic);
}

Verdict size(Subject& subject) {
  PRECIS_ASSIGN(const auto* entry, subject.open());
  if (entry->struct_size >= sizeof(precis_plugin_entry)) return {};
  return violation("struct_size is {}, it must be at least {}", entry->struct_size,
                   sizeof(precis_plugin_entry));
}

Verdict version(Subject& subject) {
  PRECIS_ASSIGN(const auto* entry, subject.open());
  if (entry->abi_major != PRECIS_ABI_MAJOR)
    return violation("abi_major is {}, this host's is {}", entry->abi_major, PRECIS_ABI_MAJOR);
  if (entry->min_host_minor > entry->abi_minor)
    return violation("min_host_minor {} is above its own abi_minor {}", entry->min_host_minor,
                     entry->abi_minor);
  if (entry->min_host_minor > host_minor())
    return violation("it needs a host of minor {}, this one has {}", entry->min_host_minor,
                     host_minor());
  return {};
}

Verdict manifest(Subject& subject) {
  PRECIS_ASSIGN(const auto* entry, subject.open());
  const Manifest& stated = subject.manifest();
  if (entry->abi_major == stated.abi_major && entry->abi_minor == stated.abi_minor &&
      entry->min_host_minor == stated.min_host_minor)
    return {};
  return violation("the library has ABI {}.{} (oldest host {}), the manifest says {}.{} ({})",
                   entry->abi_major, entry->abi_minor, entry->min_host_minor, stated.abi_major,
                   stated.abi_minor, stated.min_host_minor);
}

Verdict members(Subject& subject) {
  PRECIS_ASSIGN(const auto* entry, subject.open());
  if (entry->init != nullptr && entry->deinit != nullptr && entry->get_factory != nullptr)
    return {};
  return violation("init, deinit or get_factory is null");
}

Verdict init(Subject& subject) {
  doing("init");
  const uint64_t before = threads_started();
  PRECIS_TRY(subject.start());
  if (const uint64_t started = threads_started() - before; started > 0)
    return violation("init started {} threads", started);
  return {};
}

Verdict bare_host(Subject& subject) {
  doing("init on a host without tables");
  PRECIS_TRY(subject.start(HostKind::bare));
  for (const Preset& preset : subject.presets()) {
    const auto instance = Instance::make(subject, preset);
    const auto weight = instance.ok() ? fitting_weight(*instance) : std::nullopt;
    doing(fmt::format("quantize with preset {} on a host without tables", preset.name));
    if (weight) PRECIS_TRY(encode(*instance, *weight).outcome);
  }
  return {};
}

Verdict newer_host(Subject& subject) {
  doing("init on a host of a later minor");
  PRECIS_TRY(subject.start(HostKind::newer));
  return {};
}

Verdict factories(Subject& subject) {
  PRECIS_TRY(subject.start());
  if (subject.entry().get_factory("precis.no-such-factory/1") != nullptr)
    return violation("get_factory answers to an id that nobody knows");
  return {};
}

Verdict deinit(Subject& subject) {
  PRECIS_TRY(subject.start());
  doing("deinit");
  subject.entry().deinit();
  doing("exit");
  return {};
}

constexpr Rule kRules[] = {
    {"entry.loads", "L2", "the library opens with every symbol resolved and has the entry", loads,
     true, false},
    {"entry.magic", "entry.h: magic", "the entry begins with PRECIS_ENTRY_MAGIC", magic, true,
     false},
    {"entry.size", "entry.h: struct_size", "the entry says how large it is", size, true, false},
    {"entry.version", "L3", "major and minors are ones that can be agreed on", version, true,
     false},
    {"entry.manifest", "L1", "the manifest states the versions that the entry states", manifest,
     true, false},
    {"entry.members", "R8", "no function of the entry is null", members, true, false},
    {"entry.init", "entry.h: init", "init succeeds and starts no thread", init, true, false},
    {"entry.bare-host", "R9", "it works on a host that has none of the host's tables", bare_host,
     false, false},
    {"entry.newer-host", "L3", "a host of a later minor, with a larger precis_host, is accepted",
     newer_host, false, false},
    {"entry.factories", "entry.h: get_factory", "get_factory gives NULL for an unknown id",
     factories, false, false},
    {"entry.deinit", "entry.h: deinit", "deinit and the end of the process go well", deinit, false,
     false, Leave::through_exit_handlers}};

}  // namespace

std::span<const Rule> entry_rules() {
  return kRules;
}

}  // namespace precis::validate

#include "core/abi/plugin_call.h"

namespace precis {
namespace {

thread_local const PluginCall* current = nullptr;

}  // namespace

const PluginCall* current_plugin_call() {
  return current;
}

PluginCallScope::PluginCallScope(const PluginCall* call) : outer_(current) {
  current = call;
}

PluginCallScope::~PluginCallScope() {
  current = outer_;
}

}  // namespace precis

// Has a variable that all libraries of a process share: GCC's default for static members of
// templates.
#include <precis/precis.h>

template <typename T>
struct __attribute__((visibility("default"))) Shared {
  static int count;
};
template <typename T>
int Shared<T>::count = 0;

extern "C" {
PRECIS_EXPORT extern const precis_plugin_entry precis_plugin_entry_v1;
static const void* get_factory(const char*) {
  return &Shared<int>::count;
}
const precis_plugin_entry precis_plugin_entry_v1 = {PRECIS_ENTRY_MAGIC,
                                                    sizeof(precis_plugin_entry),
                                                    PRECIS_ABI_MAJOR,
                                                    PRECIS_ABI_MINOR,
                                                    0,
                                                    0,
                                                    nullptr,
                                                    nullptr,
                                                    get_factory};
}

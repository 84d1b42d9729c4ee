/* libcuda.so.1 of a machine with one device, as far as precis-validate asks it. */
int cuInit(unsigned flags);
int cuDeviceGetCount(int* count);

int cuInit(unsigned flags) {
  return (int)flags;
}
int cuDeviceGetCount(int* count) {
  *count = 1;
  return 0;
}

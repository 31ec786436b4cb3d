/* Rust's standard library asks Windows' bcryptprimitives.dll for randomness, which older versions of wine don't have. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T len)
{
    return RtlGenRandom(data, (ULONG)len);
}

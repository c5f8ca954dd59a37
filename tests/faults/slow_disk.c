/* A disk that takes long to flush: to be preloaded (LD_PRELOAD) by a server. */
#include <unistd.h>

int fdatasync(int file)
{
    (void)file;
    sleep(30);
    return 0;
}

int fsync(int file)
{
    return fdatasync(file);
}

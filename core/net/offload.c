/* offload.c — see offload.h. The thread is made for the first piece of work and lives as long as the process. */
#include "net/offload.h"

#include "base/err.h"
#include "net/signal.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t more;
    list todo, finished;
    unsigned waiting; /* not yet `done` */
    bool running;
    int wake_fd;
} side = {.mutex = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static offload *next_of(list *l)
{
    offload *o = list_item(l->next, offload, node);
    list_remove(&o->node);
    return o;
}

static void *work(void *arg)
{
    (void)arg;
    const uint64_t one = 1;
    pthread_mutex_lock(&side.mutex);
    for (;;) {
        while (list_is_empty(&side.todo)) {
            pthread_cond_wait(&side.more, &side.mutex);
        }
        offload *o = next_of(&side.todo);
        pthread_mutex_unlock(&side.mutex);
        o->run(o);
        pthread_mutex_lock(&side.mutex);
        list_push_back(&side.finished, &o->node);
        (void)!write(side.wake_fd, &one, sizeof one); /* cannot fail short of 2^64 wakes */
    }
    return NULL;
}

static void on_finished(int fd, void *arg)
{
    (void)arg;
    uint64_t count;
    (void)!read(fd, &count, sizeof count);
    for (;;) {
        pthread_mutex_lock(&side.mutex);
        offload *o = list_is_empty(&side.finished) ? NULL : next_of(&side.finished);
        pthread_mutex_unlock(&side.mutex);
        if (!o) {
            return;
        }
        side.waiting--;
        o->done(o);
    }
}

/* Signals are the loop's. */
static int start_thread(void)
{
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&thread, NULL, work, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0) {
        pthread_detach(thread);
    }
    return rc == 0 ? 0 : ERR_MEM;
}

static int start(loop *l)
{
    list_init(&side.todo);
    list_init(&side.finished);
    side.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fd_watch *watch = side.wake_fd < 0 ? NULL : fd_watch_start(l, side.wake_fd, on_finished, NULL);
    if (watch && start_thread() == 0) {
        side.running = true;
        return 0;
    }
    if (watch) {
        fd_watch_stop(watch);
    }
    if (side.wake_fd >= 0) {
        close(side.wake_fd);
    }
    return ERR_MEM;
}

int offload_start(loop *l, offload *o)
{
    if (!side.running && start(l) < 0) {
        return ERR_MEM;
    }
    if (side.waiting >= OFFLOAD_MOST) {
        return ERR_LIMIT;
    }
    side.waiting++;
    pthread_mutex_lock(&side.mutex);
    list_push_back(&side.todo, &o->node);
    pthread_cond_signal(&side.more);
    pthread_mutex_unlock(&side.mutex);
    return 0;
}

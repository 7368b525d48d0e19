use super::*;

fn holder(rank: Rank) -> Holder {
    Holder { rank, job: None, wanted: CancellationToken::new() }
}

#[tokio::test]
async fn who_looks_sits_beside_what_gives_way_and_beside_nobody_else() {
    let blog: AppName = "blog".parse().unwrap();
    for (rank, sits) in [
        (Some(Rank::OwnDrill), true),
        (Some(Rank::Drill), true),
        (Some(Rank::House), true),
        (Some(Rank::Prune), true),
        (Some(Rank::Look), false),
        (Some(Rank::Chore), false),
        (Some(Rank::Change), false),
        (None, false),
    ] {
        let queue = Queue::default();
        let holder = rank.map(holder);
        let wanted = holder.as_ref().map(|holder| holder.wanted.clone());
        holder.into_iter().for_each(|holder| assert!(queue.enter(&blog, holder)));
        let waits = queue.patience(&blog, 0, Rank::Look) > Duration::ZERO;
        assert_eq!(waits, rank.is_some_and(|rank| rank != Rank::Change), "{rank:?}");
        let place = queue.beside(&blog);
        assert_eq!(place.is_some(), sits, "{rank:?}");
        assert_eq!(queue.is_looked_at(), sits, "{rank:?}");
        assert!(queue.beside(&blog).is_none(), "there is one place");
        assert!(!wanted.is_some_and(|wanted| wanted.is_cancelled()), "{rank:?} is left alone");
        drop(place);
        assert!(!queue.is_looked_at());
    }
}

#[test]
fn drills_and_prunes_give_way_and_the_agents_own_prune_to_every_app() {
    let (blog, shop): (AppName, AppName) = ("blog".parse().unwrap(), "shop".parse().unwrap());
    for (has, wants, ends) in [
        (Rank::OwnDrill, Rank::OwnDrill, false),
        (Rank::OwnDrill, Rank::Drill, true),
        (Rank::Drill, Rank::OwnDrill, false),
        (Rank::Drill, Rank::Drill, false),
        (Rank::Drill, Rank::House, true),
        (Rank::Drill, Rank::Chore, true),
        (Rank::Drill, Rank::Change, true),
        (Rank::House, Rank::Drill, false),
        (Rank::House, Rank::Chore, true),
        (Rank::House, Rank::Prune, true),
        (Rank::House, Rank::Change, true),
        (Rank::Look, Rank::Change, false),
        (Rank::Chore, Rank::Change, false),
        (Rank::Prune, Rank::Chore, false),
        (Rank::Prune, Rank::Prune, false),
        (Rank::Prune, Rank::Change, true),
        (Rank::Change, Rank::Change, false),
    ] {
        let (queue, has_it) = (Queue::default(), holder(has));
        let wanted = has_it.wanted.clone();
        assert!(queue.enter(&blog, has_it));
        queue.want(&blog, wants);
        assert_eq!(wanted.is_cancelled(), ends, "{has:?} has it, {wants:?} wants it");
        let waits = queue.patience(&blog, 0, wants) > Duration::ZERO;
        assert_eq!(waits, has < wants, "{wants:?} waits for {has:?}");
    }
    for (has, begins, ends) in [
        (Rank::House, Rank::Change, true),
        (Rank::House, Rank::Look, false),
        (Rank::House, Rank::Chore, false),
        (Rank::Prune, Rank::Change, false),
        (Rank::Drill, Rank::Change, false),
    ] {
        let (queue, has_it) = (Queue::default(), holder(has));
        let wanted = has_it.wanted.clone();
        assert!(queue.enter(&blog, has_it) && queue.enter(&shop, holder(begins)));
        assert_eq!(wanted.is_cancelled(), ends, "{has:?}, and {begins:?} begins elsewhere");
        assert_eq!(queue.something_changes(), begins == Rank::Change);
        let (queue, comes) = (Queue::default(), holder(has));
        let wanted = comes.wanted.clone();
        assert!(queue.enter(&shop, holder(begins)) && queue.enter(&blog, comes));
        assert_eq!(wanted.is_cancelled(), ends, "{has:?} begins, and {begins:?} is there elsewhere");
    }
}

#[test]
fn what_gave_way_is_postponed_and_has_not_failed() {
    let failure = || Failure::new(FailureKind::Busy, "the prune gave way to another job");
    let failed = || Outcome::Failed { failure: failure() };
    let not_put_back = || Outcome::NotPutBack { failure: failure(), put_back: failure() };
    let done = || Outcome::Done { summary: String::new() };
    assert_eq!(postponed_if(true, failed()), Outcome::Postponed { failure: failure() });
    assert_eq!(postponed_if(false, failed()), failed());
    assert_eq!(postponed_if(true, not_put_back()), not_put_back());
    assert_eq!(postponed_if(true, done()), done());
}

#[tokio::test(start_paused = true)]
async fn a_queue_closes_when_nobody_is_in_it_and_opens_again_after_waiting_in_vain() {
    let queue = Queue::default();
    let (blog, shop): (AppName, AppName) = ("blog".parse().unwrap(), "shop".parse().unwrap());
    let drill = holder(Rank::Drill);
    let wanted = drill.wanted.clone();
    assert!(queue.enter(&blog, drill) && queue.enter(&shop, holder(Rank::Change)));
    assert!(!queue.close_when_idle(Duration::from_secs(3)).await);
    assert!(wanted.is_cancelled(), "a drill gives way");
    let closing = queue.close_when_idle(Duration::from_secs(60));
    let leaving = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!queue.enter(&"late".parse().unwrap(), holder(Rank::Change)), "it was closed");
        queue.holders.lock().unwrap().clear();
    };
    assert!(tokio::join!(closing, leaving).0);
    assert!(!queue.enter(&blog, holder(Rank::Change)), "it stays closed");
}

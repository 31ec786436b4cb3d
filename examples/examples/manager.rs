//! Shows what a SIP stack asks of a media manager, with both ends in one program and the signalling by hand: a call, a
//! hold, a re-INVITE that is refused, and a transfer.
//!
//! You learn which function belongs to which SIP message, and which events come back.

use std::error::Error;
use std::time::Duration;

use host_std::device::FileIo;
use host_std::manager::{Change, DialogId, ManagerConfig, MediaManager};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (anna, mut events) = MediaManager::new(ManagerConfig::new()?);
    let (bert, _events) = MediaManager::new(ManagerConfig::new()?);
    let (at_anna, at_bert) = (DialogId::new("call-1", "anna", "bert"), DialogId::new("call-1", "bert", "anna"));

    // INVITE, 200, ACK.
    let offer = anna.offer(&DialogId::half("call-1", "anna")).await?;
    let answer = bert.answer(&at_bert, &offer).await?;
    anna.accept(&at_anna, &answer).await?;
    anna.confirm(&at_anna).await?;
    anna.attach(&at_anna, Box::new(FileIo::null(48_000))).await?;
    bert.attach(&at_bert, Box::new(FileIo::null(48_000))).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    println!("they talk: {:?}", anna.direction(&at_anna).await?);

    // A re-INVITE that puts Bert on hold.
    let offer = anna.reoffer(&at_anna, Change::hold()).await?;
    let answer = bert.reanswer(&at_bert, &offer).await?;
    anna.accept(&at_anna, &answer).await?;
    println!("Bert is held: {:?}", bert.direction(&at_bert).await?);

    // One that he answers with 488: nothing has changed.
    anna.reoffer(&at_anna, Change::resume().with_fresh_keys()).await?;
    anna.withdraw(&at_anna).await?;
    println!("still held: {:?}", anna.direction(&at_anna).await?);

    // Anna is transferred to Carla: another dialog gets her device.
    let (carla, _events) = MediaManager::new(ManagerConfig::new()?);
    let (to_carla, at_carla) = (DialogId::new("call-2", "anna", "carla"), DialogId::new("call-2", "carla", "anna"));
    let offer = anna.offer(&DialogId::half("call-2", "anna")).await?;
    let answer = carla.answer(&at_carla, &offer).await?;
    carla.attach(&at_carla, Box::new(FileIo::null(48_000))).await?;
    anna.accept(&to_carla, &answer).await?;
    anna.confirm(&to_carla).await?;
    anna.replace(&at_anna, &to_carla).await?;
    let ended = anna.end(&at_anna).await?;
    bert.end(&at_bert).await?;
    println!("Anna heard {} packets of Bert", ended.stats.map_or(0, |stats| stats.total.received));
    tokio::time::sleep(Duration::from_millis(500)).await;
    println!("and now {} of Carla", anna.stats(&to_carla).await?.total.received);

    while let Some(event) = events.try_next() {
        println!("{}: {:?}", event.dialog, event.kind);
    }
    let goodbyes = anna.shutdown(Duration::from_secs(2)).await;
    println!("{} session ended with a goodbye", goodbyes.ended);
    assert_eq!((goodbyes.ended, goodbyes.aborted), (1, 0));
    carla.shutdown(Duration::from_secs(2)).await;
    Ok(())
}
